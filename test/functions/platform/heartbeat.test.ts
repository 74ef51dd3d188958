import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { afterEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../../functions/platform/clock.ts';
import { HeartbeatError, sendHeartbeat } from '../../../functions/platform/heartbeat.ts';
import { withRuntime } from '../../../functions/platform/runtime.ts';
import { caFileIn, openSecureContext } from '../../../infra/local/rds/certificates.ts';

const SECRET = 'a1b2c3d4-secret-of-the-check';
const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

/** A server on this machine; its address ends in what must stay secret. */
async function listen(server: Server, scheme = 'http'): Promise<string> {
  servers.push(server);
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  return `${scheme}://127.0.0.1:${(server.address() as AddressInfo).port}/${SECRET}`;
}
const serve = (answer: RequestListener) => listen(createServer(answer));

function send(address: string | undefined): Promise<void> {
  const environment = address === undefined ? {} : { DAYBREAK_HEARTBEAT_URL: address };
  const runtime = { environment, clock: systemClock, clientConfiguration: {}, writeLine: () => undefined };
  return withRuntime({ ...runtime, instances: new Map() }, sendHeartbeat);
}

async function failureOf(address: string): Promise<string> {
  const error = await send(address).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof HeartbeatError)) throw new Error(`no HeartbeatError: ${String(error)}`);
  // Neither the message nor what it was made from may hold the address.
  expect(`${error.stack} ${JSON.stringify(error)} ${String(error.cause)}`).not.toContain(SECRET);
  return error.message.replace(/; check heartbeatUrl.*$/, '');
}

describe('a heartbeat', () => {
  it('is one empty GET of the address, and nothing where there is none', async () => {
    const seen: string[] = [];
    const address = await serve((request, response) => {
      seen.push(`${request.method} ${request.url} ${request.headers['content-length'] ?? 'no body'}`);
      response.end('OK');
    });
    await send(address);
    await send(undefined);
    expect(seen).toEqual([`GET /${SECRET} no body`]);
  });

  it('does not wait for a body that does not end', async () => {
    const address = await serve((_request, response) => {
      response.write('more to come');
    });
    const startedAt = performance.now();
    await send(address);
    expect(performance.now() - startedAt).toBeLessThan(3000);
  });

  it.each([
    [404, 'answered 404'],
    [500, 'answered 500'],
  ])('fails for the answer %d', async (status, reason) => {
    const address = await serve((_request, response) => response.writeHead(status).end());
    expect(await failureOf(address)).toBe(`the heartbeat's address ${reason}`);
  });

  it('follows no redirect', async () => {
    const reached: string[] = [];
    const elsewhere = await serve((request, response) => {
      reached.push(String(request.url));
      response.end();
    });
    const address = await serve((_request, response) => response.writeHead(302, { location: elsewhere }).end());
    expect(await failureOf(address)).toBe("the heartbeat's address answered 302");
    expect(reached).toEqual([]);
  });

  it('fails after five seconds where nothing answers', async () => {
    const address = await serve(() => undefined);
    const startedAt = performance.now();
    expect(await failureOf(address)).toBe("the heartbeat's address could not be reached (TimeoutError)");
    expect(performance.now() - startedAt).toBeGreaterThan(4500);
  }, 15_000);

  it('fails where nobody listens, and for what is no address', async () => {
    const address = await serve(() => undefined);
    servers.splice(0).map(server => server.close());
    expect(await failureOf(address)).toBe("the heartbeat's address could not be reached (ECONNREFUSED)");
    expect(await failureOf(`//${SECRET}`)).toBe("the heartbeat's address could not be reached (ERR_INVALID_URL)");
  });

  it('goes to nobody whose certificate is not trusted', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'daybreak-heartbeat-'));
    const trusted = getCACertificates('default');
    try {
      const context = await openSecureContext(directory);
      const server = createTlsServer({ SNICallback: (_name, done) => done(null, context) }, (_request, response) =>
        response.end(),
      );
      const address = (await listen(server, 'https')).replace('127.0.0.1', 'localhost');
      expect(await failureOf(address)).toBe(
        "the heartbeat's address could not be reached (UNABLE_TO_VERIFY_LEAF_SIGNATURE)",
      );
      setDefaultCACertificates([...trusted, readFileSync(caFileIn(directory), 'utf8')]);
      await send(address);
    } finally {
      setDefaultCACertificates(trusted);
      rmSync(directory, { recursive: true });
    }
  });
});
