/**
 * A React hook over voice.js. React is a peer dependency: your bundler or import map resolves "react".
 *
 *   const { state, transcripts, startConversation, stopConversation } = useVoice({ token: getToken });
 *
 * All it returns: react.d.ts.
 */

"use client";

import { useEffect, useMemo, useRef, useState, useSyncExternalStore } from "react";

import { INITIAL, sharedConversation } from "./store.js";

const LEVEL_EVERY_MS = 100; // renders for `audioLevel`, at most 10 a second

/**
 * `options` are those of VoiceClient, and `conversation`, a name: components with the same name share one client, which
 * is kept over unmounts. `on` maps event names to listeners.
 */
export function useVoice(options = {}, on = {}) {
  const { conversation = "", ...clientOptions } = options;
  const shared = useMemo(() => sharedConversation(conversation), [conversation]);
  const [subscribe, read] = useMemo(() => [(listener) => shared.subscribe(listener), () => shared.snapshot], [shared]);
  const snapshot = useSyncExternalStore(subscribe, read, () => INITIAL);
  useEffect(() => shared.configure(clientOptions));
  useEffect(() => shared.hold(), [shared]);
  useListeners(shared, on);
  const actions = useMemo(() => actionsOf(shared), [shared]);
  const [audioLevel, wantAudioLevel] = useAudioLevel(shared);
  const { state, reconnecting } = snapshot;
  return {
    ...snapshot,
    isConnected: state === "listening" || state === "thinking" || state === "speaking",
    isListening: state === "listening",
    isSpeaking: state === "speaking",
    isReconnecting: reconnecting !== null,
    levels: shared.levels,
    /** A getter: only components that read it are rendered for it. */
    get audioLevel() {
      wantAudioLevel();
      return audioLevel;
    },
    ...actions,
  };
}

/** Functions that stay the same over renders. */
function actionsOf(shared) {
  return {
    startConversation: () => shared.start(),
    stopConversation: () => shared.client?.stop(),
    disconnect: () => shared.client?.disconnect(),
    interrupt: () => shared.client?.interrupt(),
    sendText: (text) => shared.sendText(text),
    mute: (muted) => shared.client?.mute(muted),
    resumeAudio: async () => (await shared.client?.resumeAudio()) ?? false,
    getPassage: async (id) => shared.client.getPassage(id),
    /** `input` and `output` are device ids, "" for the browser's choice. */
    selectDevices: async ({ input, output }) => {
      if (input !== undefined) await shared.client?.useMicrophone(input || undefined);
      if (output !== undefined) await shared.client?.useSpeaker(output);
    },
    subscribeLevels: (listener) => shared.subscribeLevels(listener),
  };
}

/** Calls the newest listener of each name in `on`. */
function useListeners(shared, on) {
  const latest = useRef(on);
  useEffect(() => {
    latest.current = on;
  });
  const names = Object.keys(on).sort().join(" ");
  useEffect(() => {
    const { client } = shared;
    const call = ({ type, detail }) => latest.current[type]?.(detail);
    const types = names.split(" ").filter(Boolean);
    for (const type of types) client.addEventListener(type, call);
    return () => types.forEach((type) => client.removeEventListener(type, call));
  }, [shared, names]);
}

/** [the louder side's level, a function that asks for it]; without that it causes no render. */
function useAudioLevel(shared) {
  const [level, setLevel] = useState(0);
  const isWanted = useRef(false);
  const want = useRef(() => {
    isWanted.current = true;
  });
  useEffect(() => {
    let at = 0;
    return shared.subscribeLevels(({ input, output }) => {
      const isDue = performance.now() - at >= LEVEL_EVERY_MS || input + output === 0;
      if (!isWanted.current || !isDue) return;
      at = performance.now();
      setLevel(Math.round(100 * Math.max(input, output)) / 100);
    });
  }, [shared]);
  return [level, want.current];
}
