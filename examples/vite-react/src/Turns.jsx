import { useEffect, useRef, useState } from "react";

const PASSAGES_SHOWN = 3;

/** What was said so far, and the passages under the newest answer. */
export function Turns({ transcripts, passages, openPassage }) {
  const [opened, setOpened] = useState(null);
  const end = useRef(null);
  useEffect(() => {
    end.current?.scrollIntoView({ block: "end" }); // in newer browsers it returns a promise, which is no clean-up
  }, [transcripts]);
  if (!transcripts.length) return <p className="hint">“How warm must the brooder be in the first week?”</p>;
  const shown = transcripts.at(-1).role === "assistant" ? passages.slice(0, PASSAGES_SHOWN) : [];
  return (
    <div className="turns">
      <ol aria-live="polite">
        {transcripts.map(({ itemId, role, text }) => (
          <li key={itemId} className={role}>
            {text}
          </li>
        ))}
      </ol>
      <div className="sources">
        {shown.map(({ id, title }) => (
          <button key={title} type="button" disabled={!id} onClick={() => openPassage(id).then(setOpened, ignore)}>
            {title}
          </button>
        ))}
      </div>
      <div ref={end} />
      {opened && <PassageDialog passage={opened} onClose={() => setOpened(null)} />}
    </div>
  );
}

function PassageDialog({ passage, onClose }) {
  const dialog = useRef(null);
  useEffect(() => {
    dialog.current?.showModal();
  }, []);
  return (
    <dialog ref={dialog} onClose={onClose}>
      <h2>{passage.title}</h2>
      <p>{passage.text}</p>
      <form method="dialog">
        <button className="plain">Close</button>
      </form>
    </dialog>
  );
}

/** The gateway forgets passages with the session: a title from before may not open. */
function ignore() {}
