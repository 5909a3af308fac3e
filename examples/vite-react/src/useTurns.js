import { useMemo, useState } from "react";

const TITLES_MAX = 3;

/** What was said so far: {turns: [{itemId, role, text, titles}], listeners for `useVoice`, addQuestion(text)}. */
export function useTurns() {
  const [turns, setTurns] = useState([]);
  const more = useMemo(() => {
    let titles = []; // of the documents that the next answer has been given
    const put = (turn) =>
      setTurns((before) => {
        const known = before.find(({ itemId }) => itemId === turn.itemId);
        return [...before.filter((each) => each !== known), { ...turn, titles: known?.titles ?? turn.titles }];
      });
    return {
      listeners: {
        context: ({ passages }) => {
          titles = [...new Set(passages.map(({ title }) => title.split(" – ")[0]))].slice(0, TITLES_MAX);
        },
        transcript: ({ role, itemId, text }) => put({ itemId, role, text, titles: role === "assistant" ? titles : [] }),
      },
      addQuestion: (text) => put({ itemId: crypto.randomUUID(), role: "user", text, titles: [] }),
    };
  }, []);
  return { turns, ...more };
}
