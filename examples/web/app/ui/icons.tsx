import type { ReactNode } from "react";

function icon(children: ReactNode, width = 20) {
  return function Icon() {
    return (
      <svg
        width={width}
        height="20"
        viewBox={`0 0 ${width} 20`}
        fill="none"
        stroke="currentColor"
        strokeWidth="1.7"
        strokeLinecap="round"
        strokeLinejoin="round"
        aria-hidden="true"
      >
        {children}
      </svg>
    );
  };
}

export const SendIcon = icon(<path d="M3.500 10 16.500 4l-4.500 12.500-2.700-5.300zm5.800 1.200L16.500 4" />);
export const SmileIcon = icon(
  <>
    <circle cx="10" cy="10" r="7.2" />
    <path d="M6.900 11.800c.8 1.300 1.900 2 3.100 2s2.300-.7 3.100-2M7.500 7.800v.4M12.500 7.800v.4" />
  </>,
);
export const BackIcon = icon(<path d="M12 4.500 6.500 10l5.500 5.500" />);
export const DownIcon = icon(<path d="M10 4v12m-5-5 5 5 5-5" />);
export const PeopleIcon = icon(
  <path d="M7.500 9.500a2.700 2.700 0 1 0 0-5.400 2.700 2.700 0 0 0 0 5.400zM2.500 16c.4-2.700 2.300-4.200 5-4.200s4.600 1.500 5 4.200M13 4.300a2.600 2.600 0 0 1 0 5M14.600 12c1.700.6 2.700 2 3 4" />,
);
export const ClockIcon = icon(
  <>
    <circle cx="10" cy="10" r="5.500" />
    <path d="M10 7v3.200l2 1.200" />
  </>,
);
export const TickIcon = icon(<path d="m4.500 10.500 3.500 3.500 7-8" />);
export const TicksIcon = icon(<path d="m1.500 10.500 3.200 3.300 6.300-7.600M9.700 13.300l.5.500 6.300-7.600" />);
export const RingIcon = icon(<circle cx="10" cy="10" r="4.500" />);
export const AlertIcon = icon(<path d="M10 6v4.500M10 13.500v.2M10 2.800a7.200 7.200 0 1 0 0 14.400 7.200 7.200 0 0 0 0-14.400z" />);
export const PlusIcon = icon(<path d="M10 4.500v11M4.500 10h11" />);
