/** An HTTP server that ends gracefully: what is being answered is answered, until `signal` fires. */
import type { Server } from 'node:http';

const IDLE_CHECK_MS = 50;

/** Takes no new connections, closes those that become idle, and all of them when `signal` fires. */
export async function closeServer(server: Server, signal: AbortSignal): Promise<void> {
  const closeAll = (): void => server.closeAllConnections();
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  // A connection that was busy when the server closed would otherwise stay open until its keep-alive ends.
  const idle = setInterval(() => server.closeIdleConnections(), IDLE_CHECK_MS);
  signal.addEventListener('abort', closeAll, { once: true });
  if (signal.aborted) closeAll();
  try {
    await closed;
  } finally {
    clearInterval(idle);
    signal.removeEventListener('abort', closeAll);
  }
}
