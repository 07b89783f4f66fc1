declare module 'cloudflare:workers' {
  /** Bindings and variables of `wrangler.toml`. */
  export const env: Readonly<Record<string, unknown>>;
}
