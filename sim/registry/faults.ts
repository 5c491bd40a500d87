// The faults that a model of the simulated registry can have.

/**
 * - `manifest`: the manifest is answered with this status
 * - `blob`: every request for the model's data is, from the first one on
 * - `data`: only the requests that fetch it are, after the registry said that it is there
 * - `stall`: nothing comes any more from this byte on, the connection stays
 * - `cut`: the connection ends there
 * - `wrong`: other bytes than the digest's, this often
 */
export type RegistryFault =
  | { readonly kind: "manifest" | "blob" | "data"; readonly status: number }
  | { readonly kind: "stall" | "cut"; readonly atByte: number }
  | { readonly kind: "wrong"; times: number };
