// The headers that pass, in each direction. All others stay: credentials, cookies, those of one connection, and those
// with which a client could pass for another behind a proxy.

const OF_REQUESTS = ["accept", "content-encoding", "content-length", "content-type", "if-none-match", "user-agent"];

const OF_RESPONSES = [
  "allow",
  "cache-control",
  "content-encoding",
  "content-length",
  "content-type",
  "etag",
  "last-modified",
  "retry-after",
  "vary",
  "x-gpu-courier-job",
  "x-request-id",
  "x-should-retry",
];

/** @param token of gpuctl, for gpu-server */
export function requestHeaders(from: Headers, token: string): Headers {
  const headers = passing(from, OF_REQUESTS);
  // A compressor on the way could hold back the lines of a stream.
  headers.set("accept-encoding", "identity");
  headers.set("authorization", `Bearer ${token}`);
  return headers;
}

export function responseHeaders(from: Headers): Headers {
  return passing(from, OF_RESPONSES);
}

function passing(from: Headers, names: readonly string[]): Headers {
  const headers = new Headers();
  for (const name of names) {
    const value = from.get(name);
    if (value !== null) headers.set(name, value);
  }
  return headers;
}
