/**
 * A React hook over voice.js. React is a peer dependency: your bundler or import map resolves "react".
 *
 *   const { state, startConversation, stopConversation, audioLevel } = useVoice({ token: getToken });
 */

"use client";

import { useCallback, useEffect, useRef, useState } from "react";

import { VoiceClient } from "./voice.js";

/** `options` are those of VoiceClient and are read when a conversation starts; `on` maps event names to listeners. */
export function useVoice(options = {}, on = {}) {
  const latest = useRef({ options, on });
  latest.current = { options, on };
  const client = useRef(null);
  const isMounted = useRef(false);
  const [state, setState] = useState("idle");
  const [error, setError] = useState(null);
  const [audioLevel, setAudioLevel] = useState(0);

  const startConversation = useCallback(async () => {
    if (client.current?.isActive || !isMounted.current) return;
    const voice = new VoiceClient(latest.current.options);
    client.current = voice;
    setError(null);
    voice.addEventListener("state", ({ detail }) => {
      setState(detail.state);
      if (!voice.isActive) setAudioLevel(0);
    });
    voice.addEventListener("error", ({ detail }) => setError(detail));
    voice.addEventListener("level", ({ detail }) => setAudioLevel(detail.input ?? detail.output ?? 0));
    for (const name of Object.keys(latest.current.on)) {
      voice.addEventListener(name, ({ detail }) => latest.current.on[name]?.(detail));
    }
    await voice.start();
  }, []);

  const stopConversation = useCallback(() => client.current?.stop(), []);
  const interrupt = useCallback(() => client.current?.interrupt(), []);
  const sendText = useCallback((text) => client.current?.sendText(text) ?? false, []);
  const mute = useCallback((muted) => client.current?.mute(muted), []);

  useEffect(() => {
    isMounted.current = true;
    return () => {
      isMounted.current = false;
      client.current?.disconnect();
    };
  }, []);

  return {
    state,
    isConnected: state === "listening" || state === "thinking" || state === "speaking",
    isListening: state === "listening",
    isSpeaking: state === "speaking",
    error,
    audioLevel,
    startConversation,
    stopConversation,
    interrupt,
    sendText,
    mute,
  };
}
