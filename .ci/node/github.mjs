// Cuts GitHub's own description of its API down to the requests that we make: node github.mjs FROM TO
//
// The whole takes a strict proxy most of a minute to read. What is kept is kept as it is, but for examples, which are for people.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";

const editions = ["api.github.com", "ghes-3.17", "ghes-3.19"];

const requests = {
  "/user": ["get"],
  "/repos/{owner}/{repo}": ["get"],
  "/repos/{owner}/{repo}/issues/{issue_number}/comments": ["get", "post"],
  "/repos/{owner}/{repo}/issues/comments/{comment_id}": ["patch", "delete"],
  "/repos/{owner}/{repo}/commits/{commit_sha}/pulls": ["get"],
  "/repos/{owner}/{repo}/contents/{path}": ["get"],
  "/repos/{owner}/{repo}/git/commits/{commit_sha}": ["get"],
  "/repos/{owner}/{repo}/check-runs": ["post"],
  "/repos/{owner}/{repo}/check-runs/{check_run_id}": ["patch"],
  "/repos/{owner}/{repo}/code-scanning/sarifs": ["post"],
  "/repos/{owner}/{repo}/code-scanning/sarifs/{sarif_id}": ["get"],
};

const withoutExamples = (_, value) => {
  if (value && typeof value === "object" && !Array.isArray(value) && ("schema" in value || "type" in value)) {
    const { example, examples, ...rest } = value;
    return rest;
  }
  return value;
};

const [from, to] = process.argv.slice(2);
mkdirSync(to, { recursive: true });
for (const edition of editions) {
  const whole = JSON.parse(readFileSync(`${from}/${edition}.json`, "utf8"));
  const { openapi, info } = whole;
  const base = edition.startsWith("ghes") ? "/api/v3" : "";
  const kept = { openapi, info, servers: [{ url: "/" }], paths: {}, components: {} };
  for (const [path, verbs] of Object.entries(requests)) {
    const entries = verbs.map((verb) => [verb, whole.paths[path]?.[verb]]);
    const missing = entries.find(([, operation]) => !operation);
    if (missing) throw new Error(`${edition} has no ${missing[0]} ${path}`);
    kept.paths[base + path] = Object.fromEntries(entries);
  }
  const wanted = [kept.paths];
  while (wanted.length > 0) {
    for (const [, kind, name] of JSON.stringify(wanted.pop(), withoutExamples).matchAll(/"\$ref":"#\/components\/([^/"]+)\/([^"]+)"/g)) {
      kept.components[kind] ??= {};
      if (name in kept.components[kind]) continue;
      const component = whole.components[kind]?.[name];
      if (!component) throw new Error(`${edition} has no ${kind} ${name}`);
      kept.components[kind][name] = component;
      wanted.push(component);
    }
  }
  writeFileSync(`${to}/${edition}.json`, JSON.stringify(kept, withoutExamples));
}
