/** What somebody else has just said. */
export interface Said {
  id: string;
  name: string;
  text: string;
}

/**
 * Reads new messages of others out, for those who do not see the list move. It is there before the
 * first of them: what a region has when it comes is not read.
 */
export function Latest({ said }: { said: Said | undefined }) {
  return (
    <p className="unseen" aria-live="polite">
      {said !== undefined && <span key={said.id}>{`${said.name}: ${said.text}`}</span>}
    </p>
  );
}
