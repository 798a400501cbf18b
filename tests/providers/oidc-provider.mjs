// A certified OpenID provider (npm oidc-provider) for the sign-in tests, on TLS.
//
//   oidc-provider.mjs CERT-FILE KEY-FILE     (both PEM)
//
// With REDIRECT_URI in its environment there is a second client, `dbaccess-pages`,
// for the authorization code flow with PKCE; its secret is `secret-of-the-pages`.
//
// Prints one JSON line when it is ready, {"issuer", "port"}, and serves until
// its standard input closes, so that it cannot outlive the test that started it.
// People: alice, bob, carol; its login page takes any password.
//
// What sets it apart: it sends no `interval` and never `slow_down`; refresh
// tokens rotate, and a replayed one ends the whole grant.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { tool } from '../tools/from-tools.mjs';

// Its advice for production, printed at every start, is not for tests.
console.info = console.warn = () => {};

const { Provider } = await tool('oidc-provider');
const [certFile, keyFile] = process.argv.slice(2);

const people = {
  alice: { name: 'Alice Ng', groups: ['payments', 'developers'] },
  bob: { name: 'Bob Okafor', groups: ['payments', 'leads'] },
  carol: { name: 'Carol Diaz', groups: ['security'] },
};

const pages = (redirectUri) => ({
  client_id: 'dbaccess-pages',
  client_secret: 'secret-of-the-pages',
  client_name: 'dbaccess',
  application_type: 'web',
  token_endpoint_auth_method: 'client_secret_basic',
  grant_types: ['authorization_code'],
  response_types: ['code'],
  redirect_uris: [redirectUri],
});

const server = createServer({ cert: readFileSync(certFile), key: readFileSync(keyFile) });
await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
const { port } = server.address();
const issuer = `https://localhost:${port}`;

const provider = new Provider(issuer, {
  clients: [
    {
      client_id: 'dbaccess',
      client_name: 'dbaccess',
      application_type: 'native',
      token_endpoint_auth_method: 'none',
      grant_types: ['urn:ietf:params:oauth:grant-type:device_code', 'refresh_token'],
      response_types: [],
      redirect_uris: [],
    },
    ...(process.env.REDIRECT_URI ? [pages(process.env.REDIRECT_URI)] : []),
  ],
  features: {
    deviceFlow: { enabled: true },
    revocation: { enabled: true },
    devInteractions: { enabled: true },
  },
  claims: {
    openid: ['sub'],
    email: ['email', 'email_verified'],
    profile: ['name', 'preferred_username'],
    groups: ['groups'],
  },
  scopes: ['openid', 'offline_access', 'email', 'profile', 'groups'],
  // Without this the claims would be at the userinfo endpoint only.
  conformIdTokenClaims: false,
  rotateRefreshToken: true,
  issueRefreshToken: (_ctx, client, code) =>
    client.grantTypeAllowed('refresh_token') && code.scopes.has('offline_access'),
  cookies: { keys: ['a key for tests'] },
  findAccount: (_ctx, id) => {
    const person = people[id];
    return (
      person && {
        accountId: id,
        claims: () => ({
          sub: id,
          email: `${id}@example.com`,
          email_verified: true,
          preferred_username: id,
          ...person,
        }),
      }
    );
  },
});
provider.on('server_error', (_ctx, error) => console.error(error));
server.on('request', provider.callback());

process.stdin.resume().on('end', () => process.exit(0));
console.log(JSON.stringify({ issuer, port }));
