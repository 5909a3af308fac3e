import { useMemo, useState } from "react";

/** What was said so far, and the listeners for `useVoice` that keep it: [[{itemId, role, text, titles}], listeners]. */
export function useTurns() {
  const [turns, setTurns] = useState([]);
  const listeners = useMemo(() => {
    let titles = []; // of the documents that the next answer has been given
    return {
      context: ({ passages }) => {
        titles = [...new Set(passages.map(({ title }) => title))];
      },
      transcript: ({ role, itemId, text }) => {
        const sources = role === "assistant" ? titles : [];
        setTurns((before) => {
          const turn = before.find((each) => each.itemId === itemId) ?? { itemId, role, titles: sources };
          const others = before.filter((each) => each.itemId !== itemId);
          return [...others, { ...turn, text }];
        });
      },
    };
  }, []);
  return [turns, listeners];
}
