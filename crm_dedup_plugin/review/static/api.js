// What the page asks its server and tells it. An answer is on the disk before `tell` returns.

const NO_SERVER = "The server does not answer. If it has stopped, start it again with `crm-dedup review`: this page goes on by itself.";

export const seen = { version: "" }; // what this window knows of the session

/** Ask something; words are those of the address. Throws an Error whose message is for people. */
export async function ask(what, words = {}) {
  const known = Object.entries(words).filter(([, value]) => value !== null && value !== undefined);
  return answered(`ask/${what}?${new URLSearchParams(known)}`);
}

/** Change something. Throws an Error whose message is for people; then nothing has changed. */
export async function tell(what, said = {}) {
  const found = await answered(`tell/${what}`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(said) });
  if (found.before === seen.version) seen.version = found.version; // else another window has changed something too
  return found;
}

async function answered(address, settings = {}) {
  let response, found;
  try {
    response = await fetch(address, { ...settings, credentials: "omit", redirect: "error", cache: "no-store" });
    found = await response.json();
  } catch {
    throw new Error(response ? "This address is no longer valid. Open the one that `crm-dedup review` printed last." : NO_SERVER);
  }
  if (!response.ok) throw new Error(found.error);
  return found;
}
