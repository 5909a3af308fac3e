import { useEffect, useRef } from "react";

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

/** The round button; its ring follows the louder side without a render. */
export function Orb({ state, onPress, subscribeLevels }) {
  const light = useRef(null);
  useEffect(
    () =>
      subscribeLevels(({ input, output }) => {
        light.current?.style.setProperty("--level", String(Math.max(input, output)));
      }),
    [subscribeLevels],
  );
  const action = ACTIONS[state];
  return (
    <button type="button" className="orb" aria-label={action} onClick={onPress}>
      <span className="orb-light" ref={light}>
        <svg viewBox="0 0 24 24" aria-hidden="true">
          <path d={action === "Start talking" ? MICROPHONE : SQUARE} />
        </svg>
      </span>
    </button>
  );
}
