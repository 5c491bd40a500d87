// Where the user is in the page: the part of the address after #, such as `#/boxes/gpu-1?q=berlin`.
import { Observable } from "../store/observable.ts";

export interface Place {
  /** `["boxes", "gpu-1"]` */
  readonly path: readonly string[];
  readonly query: URLSearchParams;
}

export class Router extends Observable {
  #place: Place;

  constructor() {
    super();
    this.#place = placeOf(location.hash);
    addEventListener("hashchange", () => {
      this.#place = placeOf(location.hash);
      this.notify();
    });
  }

  get place(): Place {
    return this.#place;
  }

  /** Changes the query of this place: no step of the browser's history. An empty value removes it. */
  setQuery(name: string, value: string): void {
    const query = new URLSearchParams(this.#place.query);
    if (value === "") query.delete(name);
    else query.set(name, value);
    const text = query.toString();
    history.replaceState(null, "", `${addressOf(...this.#place.path)}${text === "" ? "" : `?${text}`}`);
    this.#place = { path: this.#place.path, query };
    this.notify();
  }
}

/** `#/boxes/gpu-1` */
export function addressOf(...path: readonly string[]): string {
  return `#/${path.map(encodeURIComponent).join("/")}`;
}

function placeOf(hash: string): Place {
  const [path = "", query = ""] = hash.replace(/^#?\/?/, "").split("?");
  return {
    path: path
      .split("/")
      .filter((part) => part !== "")
      .map(decoded),
    query: new URLSearchParams(query),
  };
}

/** An address may be typed by hand. */
function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
