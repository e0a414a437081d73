/** Rounding as Python has it. */

/**
 * To the nearest whole number, of two the even one.
 * @param {number} value from 0 on
 */
export function rounded(value) {
  const below = Math.floor(value);
  return value - below === 0.5 ? below + (below % 2) : Math.round(value);
}
