import type { HttpAnswer } from '../../http.ts';
import type { SignInDesk } from './sign-in.ts';

/** The page on which a person approves a device, as `cloudtun login` asks for. */
export function devicePage(userCode: string): HttpAnswer {
  return page(
    200,
    `<p>A program on this computer wants to sign in to the practice account. Does it show this code?</p>
<form method="post" action="/device">
<p><input name="user_code" value="${escapeHtml(userCode)}" aria-label="code" autocomplete="off" spellcheck="false" required></p>
<p><button name="decision" value="approve">Approve</button> <button name="decision" value="deny">Deny</button></p>
</form>`,
  );
}

/**
 * What the form sends.
 *
 * @param origin the Origin header; a form of another site must not approve anything
 */
export function decideDevice(
  desk: SignInDesk,
  form: string,
  origin: string | undefined,
  ownOrigins: readonly string[],
): HttpAnswer {
  if (origin !== undefined && !ownOrigins.includes(origin))
    return page(403, '<p>This form belongs to another site.</p>');
  const fields = new URLSearchParams(form);
  const isApproved = fields.get('decision') === 'approve';
  if (!desk.decide(fields.get('user_code') ?? '', isApproved)) {
    return page(404, '<p>No device waits with this code. Start again with <code>cloudtun login</code>.</p>');
  }
  return page(200, `<p>${isApproved ? 'Approved' : 'Denied'}. You can close this window.</p>`);
}

function page(status: number, content: string): HttpAnswer {
  return {
    status,
    contentType: 'text/html; charset=utf-8',
    headers: {
      'content-security-policy': "default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
      'referrer-policy': 'no-referrer',
    },
    body: `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>cloudtun lab: sign in</title>
<h1>cloudtun lab: sign in</h1>
${content}
</html>
`,
  };
}

const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);
