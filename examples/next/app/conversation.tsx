"use client";

import { type CSSProperties, type FormEvent, useEffect, useRef, useState } from "react";
import { useVoice } from "voice-trio/react";

import { type Turn, useTurns } from "./use-turns";

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

export function Conversation({ url }: { url: string }) {
  const { turns, listeners, addQuestion } = useTurns();
  const voice = useVoice({ url, token: fetchToken }, listeners);
  const press = () => {
    if (voice.state === "idle" || voice.state === "error") voice.startConversation();
    else if (voice.isSpeaking || voice.state === "thinking") voice.interrupt();
    else voice.stopConversation();
  };
  const ask = (text: string) => {
    const isSent = voice.sendText(text);
    if (isSent) addQuestion(text);
    return isSent;
  };
  return (
    <main className="conversation" data-state={voice.state}>
      <Turns turns={turns} />
      <footer>
        {voice.error && (
          <p className="error" role="alert">
            {voice.error.message || voice.error.code}
          </p>
        )}
        <Orb action={ACTIONS[voice.state]} level={voice.audioLevel} onPress={press} />
        <p className="status" role="status">
          {STATUS[voice.state]}
        </p>
        <Question isEnabled={voice.isConnected} onAsk={ask} onEnd={voice.stopConversation} />
      </footer>
    </main>
  );
}

function Orb({ action, level, onPress }: { action: string; level: number; onPress(): void }) {
  return (
    <button type="button" className="orb" aria-label={action} onClick={onPress}>
      <span className="orb-light" style={{ "--level": level } as CSSProperties}>
        <svg viewBox="0 0 24 24" aria-hidden="true">
          <path d={action === "Start talking" ? MICROPHONE : SQUARE} />
        </svg>
      </span>
    </button>
  );
}

function Turns({ turns }: { turns: Turn[] }) {
  const last = useRef<HTMLLIElement>(null);
  useEffect(() => {
    last.current?.scrollIntoView({ block: "end" }); // in newer browsers it returns a promise, which is no clean-up
  }, [turns]);
  if (!turns.length) {
    return (
      <div className="hint">
        <h1>Ask, and listen.</h1>
        <p>“How warm must the brooder be in the first week?”</p>
      </div>
    );
  }
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

interface QuestionProps {
  isEnabled: boolean;
  onAsk(text: string): boolean;
  onEnd(): void;
}

function Question({ isEnabled, onAsk, onEnd }: QuestionProps) {
  const [text, setText] = useState("");
  const ask = (event: FormEvent) => {
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
      {isEnabled && (
        <button type="button" className="plain" onClick={onEnd}>
          End
        </button>
      )}
    </form>
  );
}

/** Asks this application's own server, which knows who is signed in. */
async function fetchToken(): Promise<string> {
  const response = await fetch("/api/voice-token", { method: "POST" });
  if (!response.ok) throw new Error(await response.text());
  return response.text();
}
