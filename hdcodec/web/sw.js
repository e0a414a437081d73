/**
 * Keeps the site for use without a network, and isolates its pages, so that the runtime may have
 * threads. The page registers it as sw.js?VERSION; what is large the page puts into the store.
 */

const scope = /** @type {any} */ (globalThis);
const FOLDER = new URL("./", scope.location).pathname;
/** Stores of this site begin so; another one on the same server has its own. */
const STORES = `hdc ${FOLDER} `;
const STORE = STORES + scope.location.search.slice(1);
const LIST = "site.json";
/** Bytes of a file that is stored before it is asked for. */
const SMALL = 200_000;
const ISOLATION = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};

async function install() {
  const { files } = await (await fetch(LIST, { cache: "no-cache" })).json();
  const small = Object.keys(files).filter((path) => files[path] <= SMALL);
  const store = await caches.open(STORE);
  const fresh = (/** @type {string} */ path) => new Request(path, { cache: "no-cache" });
  await store.addAll(["./", LIST, ...small].map(fresh));
  await scope.skipWaiting();
}

/** Only the newest version is kept. */
async function activate() {
  const old = (await caches.keys()).filter((name) => name.startsWith(STORES) && name !== STORE);
  await Promise.all(old.map((name) => caches.delete(name)));
  await scope.clients.claim();
}

/** @type {Promise<Set<string>> | null} */
let own = null;

/** What is part of the site; all else on the server is let through as it is. */
function listed() {
  own ??= caches
    .open(STORE)
    .then((store) => store.match(LIST))
    .then((found) => found?.json())
    .then((list) => new Set(["", LIST, ...Object.keys(list?.files ?? {})]));
  return own;
}

/**
 * From the store; the list of the site, which says whether there is a newer version, from there
 * only without a network.
 * @param {Request} request
 */
async function answer(request) {
  const store = await caches.open(STORE);
  const find = () => store.match(request, { ignoreSearch: request.mode === "navigate" });
  if (request.url.endsWith(`/${LIST}`)) {
    return fetch(request).catch(async () => (await find()) ?? Response.error());
  }
  return (await find()) ?? fetch(request);
}

/**
 * @param {Response} response
 */
function isolated(response) {
  if (response.status === 0 || response.type === "opaque") return response;
  const headers = new Headers(response.headers);
  for (const [name, value] of Object.entries(ISOLATION)) headers.set(name, value);
  const { status, statusText } = response;
  return new Response(response.body, { status, statusText, headers });
}

scope.addEventListener("install", (/** @type {any} */ event) => event.waitUntil(install()));
scope.addEventListener("activate", (/** @type {any} */ event) => event.waitUntil(activate()));
scope.addEventListener("fetch", (/** @type {any} */ event) => {
  const { request } = event;
  const { origin, pathname } = new URL(request.url);
  if (request.method !== "GET" || origin !== scope.location.origin) return;
  const path = pathname.startsWith(FOLDER) ? pathname.slice(FOLDER.length) : null;
  const answered = async () =>
    path !== null && (await listed()).has(path) ? isolated(await answer(request)) : fetch(request);
  event.respondWith(answered());
});
