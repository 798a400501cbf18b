// A person in front of a real browser who follows a link to a decision.
//
//   decide.mjs PROVIDER LINK PERSON approve|deny|look [REASON] [SCREENSHOTS]
//
// PROVIDER is whose sign-in page comes in between: `oidc-provider`, or `dev` for
// dbaccess's own for development. Prints one JSON object about what was seen:
// {"title", "text", "scripts" (that ran or were there), "refused" (by the page's
// policy), "requests" (hosts that were asked)}. SCREENSHOTS is a directory.
import { withPage } from './page.mjs';

const [provider, link, person, decision, reason = '', screenshots = ''] = process.argv.slice(2);

const signIn = {
  'oidc-provider': async (page) => {
    await page.fill('input[name=login]', person);
    await page.fill('input[name=password]', `${person}-password`);
    await page.click('button[type=submit]');
    await page.getByRole('button', { name: 'Continue' }).click(); // consent
  },
  dev: async (page) => {
    await page.check(`input[name=person][value=${person}]`);
    await page.click('button[value=approve]');
  },
};

const refused = [];
await withPage(async (page) => {
  const hosts = new Set();
  page.on('console', (message) => {
    if (/Content.Security.Policy/i.test(message.text())) refused.push(message.text());
  });
  page.on('dialog', (dialog) => {
    refused.push(`a dialog: ${dialog.message()}`);
    return dialog.dismiss();
  });
  const server = new URL(link).host;
  page.on('request', (request) => {
    if (page.url().includes(server) && !request.isNavigationRequest()) hosts.add(new URL(request.url()).host);
  });
  const shots = [
    ['phone-light', 390, 844, 'light'],
    ['phone-dark', 390, 844, 'dark'],
    ['laptop-light', 1280, 800, 'light'],
    ['laptop-dark', 1280, 800, 'dark'],
  ];
  const shoot = async (name) => {
    if (!screenshots) return;
    for (const [how, width, height, colorScheme] of shots) {
      await page.setViewportSize({ width, height });
      await page.emulateMedia({ colorScheme });
      await page.screenshot({ path: `${screenshots}/${name}-${how}.png`, fullPage: true });
    }
  };
  await page.goto(link);
  await shoot('1-sign-in');
  await page.getByRole('link', { name: 'Sign in' }).click();
  await signIn[provider](page);
  await page.waitForURL(/\/decide\//);
  await page.locator('main').waitFor();
  await shoot('2-request');
  // On a phone nothing is beyond the edge.
  await page.setViewportSize({ width: 390, height: 844 });
  const wide = await page.evaluate('document.documentElement.scrollWidth > window.innerWidth');
  if (wide) throw new Error('the page is wider than a phone');
  if (decision === 'approve') {
    if (reason) await page.fill('#comment', reason);
    await page.getByRole('button', { name: 'Approve' }).click();
    await page.getByRole('status').waitFor();
  } else if (decision === 'deny') {
    await page.fill('#reason', reason);
    await page.getByRole('button', { name: 'Deny' }).click();
    await page.getByRole('status').waitFor();
  }
  await shoot('3-outcome');
  const scripts = await page.evaluate(
    "[document.scripts.length, window.pwned, document.querySelectorAll('main img, main iframe, [onerror], [onclick]').length]",
  );
  const text = await page.locator('main').innerText();
  const title = await page.title();
  console.log(JSON.stringify({ title, text, scripts, refused, requests: [...hosts] }));
}, refused);
