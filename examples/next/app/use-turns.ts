import { useMemo, useState } from "react";
import type { VoiceEvents } from "voice-trio";

const TITLES_MAX = 3;

export interface Turn {
  itemId: string;
  role: "user" | "assistant";
  text: string;
  /** The documents that an answer has been given. */
  titles: string[];
}

/** What was said so far, the listeners for `useVoice` that keep it, and `addQuestion` for what is typed. */
export function useTurns() {
  const [turns, setTurns] = useState<Turn[]>([]);
  const more = useMemo(() => {
    let titles: string[] = []; // of the documents that the next answer has been given
    const put = (turn: Turn) =>
      setTurns((before) => {
        const known = before.find(({ itemId }) => itemId === turn.itemId);
        return [...before.filter((each) => each !== known), { ...turn, titles: known?.titles ?? turn.titles }];
      });
    return {
      listeners: {
        context: ({ passages }: VoiceEvents["context"]) => {
          titles = [...new Set(passages.map(({ title }) => title.split(" – ")[0]))].slice(0, TITLES_MAX);
        },
        transcript: ({ role, itemId, text }: VoiceEvents["transcript"]) =>
          put({ itemId, role, text, titles: role === "assistant" ? titles : [] }),
      },
      addQuestion: (text: string) => put({ itemId: crypto.randomUUID(), role: "user", text, titles: [] }),
    };
  }, []);
  return { turns, ...more };
}
