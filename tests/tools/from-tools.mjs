// Imports a pinned npm package from $DBACCESS_TEST_TOOLS, where tests/run.sh
// puts them: the repository itself holds no node_modules.
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

export async function tool(name) {
  const tools = process.env.DBACCESS_TEST_TOOLS;
  if (!tools) throw new Error('DBACCESS_TEST_TOOLS is not set: run tests/run.sh');
  const { resolve } = createRequire(join(tools, 'node', 'package.json'));
  return import(pathToFileURL(resolve(name)));
}
