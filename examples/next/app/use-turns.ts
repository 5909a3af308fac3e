import { useMemo, useState } from "react";
import type { VoiceEvents } from "voice-trio";

export interface Turn {
  itemId: string;
  role: "user" | "assistant";
  text: string;
  /** The documents that an answer has been given. */
  titles: string[];
}

/** What was said so far, and the listeners for `useVoice` that keep it. */
export function useTurns() {
  const [turns, setTurns] = useState<Turn[]>([]);
  const listeners = useMemo(() => {
    let titles: string[] = [];
    return {
      context: ({ passages }: VoiceEvents["context"]) => {
        titles = [...new Set(passages.map(({ title }) => title))];
      },
      transcript: ({ role, itemId, text }: VoiceEvents["transcript"]) => {
        const sources = role === "assistant" ? titles : [];
        setTurns((before) => {
          const turn = before.find((each) => each.itemId === itemId) ?? { itemId, role, titles: sources };
          return [...before.filter((each) => each.itemId !== itemId), { ...turn, text }];
        });
      },
    };
  }, []);
  return [turns, listeners] as const;
}
