// A page in a real browser that reaches nothing but this machine.
import { tool } from '../tools/from-tools.mjs';

const { default: playwright } = await tool('playwright-core');

// Runs `act` with a page. Where it fails, the error has what the page showed,
// and the lines of `heard`.
export async function withPage(act, heard = []) {
  const browser = await playwright.chromium.launch({
    executablePath: process.env.DBACCESS_TEST_BROWSER,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      // Pages ask for web fonts: nothing but this machine is to be reached.
      '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost',
    ],
  });
  try {
    const page = await browser.newPage({ ignoreHTTPSErrors: true, locale: 'en-US' });
    page.setDefaultTimeout(20_000);
    try {
      await act(page);
    } catch (error) {
      const text = await page.locator('body').innerText();
      const lines = [error.message, `the page was ${page.url()}:`, text, ...heard];
      throw new Error(lines.join('\n'), { cause: error });
    }
  } finally {
    await browser.close();
  }
}
