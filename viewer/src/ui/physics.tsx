// What the numbers themselves say of being HU: the verdict, its evidence, and where air and water lie on their scale.

import type { Physics } from "../wire/plausibility";
import { language, words } from "./settings";

const WIDTH = 288;
const HEIGHT = 56;
/** HU that are shown, whatever there is. */
const LEAST = [-1200, 400] as const;
const NAMES = { plausible: "physicsPlausible", unknown: "physicsUnknown", implausible: "physicsImplausible" } as const;
const KIND = { plausible: "good", unknown: "care", implausible: "bad" } as const;

export function PhysicsSection({ physics }: { physics: Physics }) {
  const w = words.value;
  const said = [...(physics.looksLike ? [physics.looksLike] : []), ...physics.evidence];
  return (
    <section class="physics" data-verdict={physics.verdict}>
      <h3>{w.physics}</h3>
      <p class={`verdict ${KIND[physics.verdict]}`}>
        <span class="dot" /> {w[NAMES[physics.verdict]]}
      </p>
      <ul class="reasons">
        {said.map((each) => (
          <li key={each.key}>{each[language.value]}</li>
        ))}
      </ul>
      <PhysicsPlot physics={physics} />
    </section>
  );
}

/** Counts to the square root, so that tissue shows beside air; dashed where air and water belong, solid where they are. */
function PhysicsPlot({ physics }: { physics: Physics }) {
  const w = words.value;
  const { first, step, counts } = physics.histogram;
  const filled = counts.flatMap((count, index) => (count ? [index] : []));
  if (!filled.length) return null;
  const low = Math.min(LEAST[0], first + filled[0]! * step);
  const high = Math.max(LEAST[1], first + (filled.at(-1)! + 1) * step);
  const x = (hu: number): number => ((hu - low) / (high - low)) * WIDTH;
  const most = Math.sqrt(Math.max(...counts));
  const bars = filled.map((index) => {
    const height = (Math.sqrt(counts[index]!) / most) * HEIGHT;
    return `M${x(first + index * step).toFixed(1)} ${HEIGHT}V${(HEIGHT - height).toFixed(1)}H${x(first + (index + 1) * step).toFixed(1)}V${HEIGHT}`;
  });
  const marks = [
    { hu: -1000, name: `${w.air} −1000` },
    { hu: 0, name: `${w.water} 0` },
  ];
  return (
    <svg class="physics-plot" viewBox={`0 0 ${WIDTH} ${HEIGHT + 16}`} role="img" aria-label={w.physicsPlot}>
      <path class="bars" d={bars.join("")} />
      {marks.map(({ hu, name }) => (
        <g key={hu}>
          <path class="belongs" d={`M${x(hu).toFixed(1)} 0V${HEIGHT}`} />
          <text x={Math.max(0, Math.min(WIDTH - 48, x(hu) - 20)).toFixed(1)} y={HEIGHT + 12}>
            {name}
          </text>
        </g>
      ))}
      {[physics.air, physics.tissue].map((hu) => hu !== null && <path key={hu} class="found" d={`M${x(hu).toFixed(1)} 0V${HEIGHT}`} />)}
    </svg>
  );
}
