/** Every fault that reading a file can have, named as in Python; messages are in docs/errors.md. */

/** Base of all faults. The message is one line that names the fault. */
export class HdcError extends Error {
  /** @param {string} message */
  constructor(message) {
    super(message);
    this.name = new.target.name;
  }
}

/** The data is empty or does not begin as an .hdc file does. */
export class NotHdcError extends HdcError {}

/** The data ends before the fields that it announces. */
export class TruncatedError extends HdcError {}

/** The data does not match its checksum: it was damaged or cut. */
export class ChecksumError extends HdcError {}

/** The file needs a later release: its version or one of its chunks is not known here. */
export class UnsupportedVersionError extends HdcError {}

/** The file was made by a model that this release does not know. */
export class UnknownModelError extends HdcError {}

/** The file is whole, but says something that no .hdc file may say. */
export class CorruptError extends HdcError {}

/** A picture, a file or a chunk is beyond a limit. */
export class TooLargeError extends HdcError {}

/** A file of weights is missing or is not the one that was shipped. */
export class WeightsError extends HdcError {}

/** The file was made with weights that this release knows, but that are not there. */
export class MissingWeightsError extends WeightsError {}
