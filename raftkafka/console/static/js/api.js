// The JSON interface of this node: one call per request, the CSRF token added, every failure one ApiError with one line.

const BASE = "api/v1";
const READING = new Set(["GET", "HEAD"]);

export const session = { csrf_token: null, login_required: false, user: null, node_id: null, cluster_id: null, version: null };

/** `status` is 0 when the node did not answer at all. */
export class ApiError extends Error {
  constructor(status, code, message) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.code = code;
  }
}

const listeners = { unauthorized: () => {} };

/** What to do when the node wants a login. */
export function onUnauthorized(act) {
  listeners.unauthorized = act;
}

export async function openSession() {
  Object.assign(session, await call("GET", "/session"));
  return session;
}

export const get = (path, query = {}, signal = undefined) => call("GET", path + queryString(query), undefined, signal);
export const post = (path, body = {}) => changing("POST", path, body);
export const patch = (path, body = {}) => changing("PATCH", path, body);
export const del = (path, body = {}) => changing("DELETE", path, body);
export const url = (path, query = {}) => BASE + path + queryString(query);
export const segment = encodeURIComponent;

function queryString(query) {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== "");
  return given.length ? `?${new URLSearchParams(given)}` : "";
}

/** A node that was started again has another secret: its refusal of the old token is answered with a new one, once. */
async function changing(method, path, body) {
  try {
    return await call(method, path, body);
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 403 || !/csrf/i.test(`${error.code} ${error.message}`)) throw error;
    await openSession();
    return call(method, path, body);
  }
}

async function call(method, path, body, signal) {
  const headers = { Accept: "application/json" };
  if (!READING.has(method)) {
    headers["Content-Type"] = "application/json";
    headers["X-CSRF-Token"] = session.csrf_token ?? "";
  }
  let response;
  try {
    response = await fetch(BASE + path, { method, headers, signal, body: body === undefined ? undefined : JSON.stringify(body), credentials: "same-origin" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "UNREACHABLE", "");
  }
  if (response.ok) return response.status === 204 || response.status === 202 ? null : response.json();
  throw await refusal(response);
}

async function refusal(response) {
  let code = `HTTP ${response.status}`;
  let message = response.statusText;
  try {
    ({ code, message } = (await response.json()).error);
  } catch {
    // Not from the interface itself (a proxy between, say): status and its words are all there is.
  }
  const error = new ApiError(response.status, code, message);
  if (response.status === 401) listeners.unauthorized(error);
  return error;
}
