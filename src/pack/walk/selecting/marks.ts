/**
 * What a walk notes about each object, one byte an object (bits of a Uint8Array by object number).
 */
/** The client has it: neither sent nor entered. */
export const UNINTERESTING = 1;
/** A commit that was put into the queue, a tree that was entered, a blob that was decided on. */
export const SEEN = 2;
/** A commit whose parents were looked at. */
export const ADDED = 4;
/** A commit that waits in the queue and is not uninteresting yet. */
export const QUEUED = 8;
/** A tree or blob found in a tree of the client's boundary: a base that the client has. */
export const CLIENT_BASE = 16;
