/**
 * Commands that were parsed lately: clients of one repository ask the same in the same bytes, and what bytes mean never changes.
 * Memory: 256 short ones, some 20 KiB each at most.
 */
import { textFromBytes } from '../protocol/pkt-line/text.ts';
import { parseV2Command, type V2Command } from '../protocol/v2-command.ts';
import { BoundedMap } from '../upstream/bounded-map.ts';

const MAX_COMMANDS = 256;
/** What is longer names haves that are its client's alone. */
const MAX_COMMAND_BYTES = 4 * 1024;

/** `parse`, for all who ask in the same bytes. Throws what it throws, each time. */
export function createCommandParser(parse: typeof parseV2Command = parseV2Command): typeof parseV2Command {
  const known = new BoundedMap<string, V2Command>(MAX_COMMANDS);
  return (body) => {
    if (body.length > MAX_COMMAND_BYTES) return parse(body);
    const text = textFromBytes(body);
    const present = known.get(text);
    if (present !== undefined) return present;
    const command = parse(body);
    known.set(text, command);
    return command;
  };
}
