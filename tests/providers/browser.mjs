// A person in front of a real browser, at a provider's own verification page.
//
//   browser.mjs PROVIDER URL PERSON [approve|deny] [USER-CODE]
//
// PROVIDER is `oidc-provider` or `glewlwyd`; URL the verification_uri_complete,
// or the verification_uri with the USER-CODE to type there. Ends with 0 when
// the page has said that it is done. Glewlwyd's page has no way to deny.
import { withPage } from './page.mjs';

const [provider, url, person, decision = 'approve', userCode] = process.argv.slice(2);

const pages = {
  'oidc-provider': async (page) => {
    if (userCode) await page.fill('input[name=user_code]', userCode);
    // With the code in the URL the page's own script submits this form.
    if (userCode) await page.click('button[type=submit]');
    if (decision === 'deny') {
      await page.click('button[name=abort]');
      return page.getByText('The Sign-in request was interrupted').waitFor();
    }
    await page.getByText('Confirm Device').waitFor();
    await page.click('button[autofocus]');
    await page.fill('input[name=login]', person);
    await page.fill('input[name=password]', `${person}-password`);
    await page.click('button[type=submit]');
    await page.getByRole('button', { name: 'Continue' }).click(); // consent
    return page.getByText('Sign-in Success').waitFor();
  },
  glewlwyd: async (page) => {
    if (decision !== 'approve') throw new Error("Glewlwyd's page offers no denial");
    if (userCode) {
      await page.getByRole('textbox').fill(userCode);
      await page.getByRole('button').last().click();
    }
    await page.fill('#username', person);
    await page.fill('#password', `${person}-password`);
    await page.click('#loginbut');
    const grant = page.getByRole('button', { name: 'Grant access' });
    await grant.waitFor();
    for (const scope of await page.locator('input[type=checkbox]:enabled').all()) await scope.check();
    await grant.click();
    await page.getByRole('button', { name: 'Continue' }).click();
    return page.waitForURL(/prompt=deviceComplete/);
  },
};

await withPage(async (page) => {
  await page.goto(url, { waitUntil: 'domcontentloaded' });
  await pages[provider](page);
});
