import { useEffect, useRef, useState } from "react";
import { useVoice } from "voice-trio/react";

import { fetchToken } from "./token.js";
import { useTurns } from "./useTurns.js";

const URL = import.meta.env.VITE_VOICE_URL ?? "ws://127.0.0.1:8000/v1/ws/voice";
/** By state: what the page says, and what the round button does. */
const STATUS = {
  idle: "Press to talk",
  connecting: "Connecting …",
  listening: "Listening",
  thinking: "Thinking …",
  speaking: "Speaking. Press to interrupt",
  error: "Press to try again",
};
const ACTIONS = {
  idle: "Start talking",
  connecting: "Stop",
  listening: "Stop",
  thinking: "Interrupt",
  speaking: "Interrupt",
  error: "Start talking",
};
const MICROPHONE = "M12 4a2.5 2.5 0 0 1 2.5 2.5v5a2.5 2.5 0 0 1-5 0v-5A2.5 2.5 0 0 1 12 4ZM6.5 11.5a5.5 5.5 0 0 0 11 0M12 17v3";
const SQUARE = "M7 7h10v10H7Z";

export function Conversation({ onClose }) {
  const { turns, listeners, addQuestion } = useTurns();
  const voice = useVoice({ url: URL, token: fetchToken }, listeners);
  const press = () => {
    if (voice.state === "idle" || voice.state === "error") voice.startConversation();
    else if (voice.isSpeaking || voice.state === "thinking") voice.interrupt();
    else voice.stopConversation();
  };
  const ask = (text) => {
    const isSent = voice.sendText(text);
    if (isSent) addQuestion(text);
    return isSent;
  };
  return (
    <section className="panel" aria-label="Assistant" data-state={voice.state}>
      <header>
        <h2>Assistant</h2>
        {voice.isConnected && (
          <button type="button" className="plain" onClick={voice.stopConversation}>
            End
          </button>
        )}
        <button type="button" className="plain" aria-label="Close" onClick={onClose}>
          ✕
        </button>
      </header>
      <Turns turns={turns} />
      {voice.error && (
        <p className="error" role="alert">
          {voice.error.message || voice.error.code}
        </p>
      )}
      <Orb action={ACTIONS[voice.state]} level={voice.audioLevel} onPress={press} />
      <p className="status" role="status">
        {STATUS[voice.state]}
      </p>
      <Question isEnabled={voice.isConnected} onAsk={ask} />
    </section>
  );
}

function Orb({ action, level, onPress }) {
  return (
    <button type="button" className="orb" aria-label={action} onClick={onPress}>
      <span className="orb-light" style={{ "--level": level }}>
        <svg viewBox="0 0 24 24" aria-hidden="true">
          <path d={action === "Start talking" ? MICROPHONE : SQUARE} />
        </svg>
      </span>
    </button>
  );
}

function Turns({ turns }) {
  const last = useRef(null);
  useEffect(() => {
    last.current?.scrollIntoView({ block: "end" }); // in newer browsers it returns a promise, which is no clean-up
  }, [turns]);
  if (!turns.length) return <p className="hint">“How warm must the brooder be in the first week?”</p>;
  return (
    <ol className="turns" aria-live="polite">
      {turns.map(({ itemId, role, text, titles }) => (
        <li key={itemId} className={role} ref={last}>
          <p>{text}</p>
          {titles.length > 0 && (
            <ul className="sources" aria-label="Documents">
              {titles.map((title) => (
                <li key={title}>{title}</li>
              ))}
            </ul>
          )}
        </li>
      ))}
    </ol>
  );
}

function Question({ isEnabled, onAsk }) {
  const [text, setText] = useState("");
  const ask = (event) => {
    event.preventDefault();
    if (onAsk(text)) setText("");
  };
  return (
    <form className="question" onSubmit={ask}>
      <input
        aria-label="Your question"
        placeholder={isEnabled ? "Or type a question" : "Start talking to ask"}
        disabled={!isEnabled}
        value={text}
        onChange={(event) => setText(event.target.value)}
      />
    </form>
  );
}
