import { useState } from "react";

import { Conversation } from "./Conversation.jsx";

/** A page like any other, with an assistant in its corner. Closing the panel unmounts the conversation. */
export function App() {
  const [isOpen, setIsOpen] = useState(false);
  return (
    <>
      <main className="page">
        <p className="eyebrow">The poultry handbook</p>
        <h1>Raising chicks, from the first day to the first egg</h1>
        <p className="lead">
          Warmth, water, light and feed: what a flock needs and when. Read on, or ask: the assistant has read all of it.
        </p>
        <div className="cards">
          <article>
            <h2>Warmth</h2>
            <p>A chick cannot keep itself warm. The brooder is warm on one side and cool on the other.</p>
          </article>
          <article>
            <h2>Light</h2>
            <p>Hens lay by the length of the day. In winter a lamp on a timer keeps them laying.</p>
          </article>
          <article>
            <h2>Water</h2>
            <p>Fresh, shallow for chicks, and deep enough for ducks to put their bills in.</p>
          </article>
        </div>
      </main>
      {isOpen ? (
        <Conversation onClose={() => setIsOpen(false)} />
      ) : (
        <button type="button" className="opener" onClick={() => setIsOpen(true)}>
          <span className="opener-dot" aria-hidden="true" />
          Ask the handbook
        </button>
      )}
    </>
  );
}
