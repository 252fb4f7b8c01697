// A Helia node that does what a test says: one JSON command a line on stdin, one JSON answer a line on stdout.
import { createInterface } from 'node:readline'
import fs from 'node:fs'
import path from 'node:path'

const at = `${process.cwd()}/.interop/node_modules/`
const load = async (name) => {
  const info = JSON.parse(fs.readFileSync(`${at}${name.split('/').slice(0, name.startsWith('@') ? 2 : 1).join('/')}/package.json`))
  const sub = name.split('/').slice(name.startsWith('@') ? 2 : 1).join('/')
  const entry = info.exports[sub === '' ? '.' : `./${sub}`]
  const file = typeof entry === 'string' ? entry : (entry.import?.default ?? entry.import ?? entry.default)
  return import(`${at}${info.name}/${file}`)
}
const { createHeliaLight } = await load('helia')
const { withBitswap } = await load('@helia/bitswap')
const { withLibp2pLight } = await load('@helia/libp2p')
const { fallbackRouter } = await load('@helia/fallback-router')
const { trustlessGatewayBlockBroker } = await load('@helia/trustless-gateway-client')
const { car } = await load('@helia/car')
const { CarReader } = await load('@ipld/car')
const { unixfs } = await load('@helia/unixfs')
const { tcp } = await load('@libp2p/tcp')
const { noise } = await load('@chainsafe/libp2p-noise')
const { yamux } = await load('@chainsafe/libp2p-yamux')
const { identify } = await load('@libp2p/identify')
const { multiaddr } = await load('@multiformats/multiaddr')
const { CID } = await load('multiformats/cid')
const { importer } = await load('ipfs-unixfs-importer')
const { fixedSize } = await load('ipfs-unixfs-importer/chunker')
const { balanced, trickle } = await load('ipfs-unixfs-importer/layout')

const libp2p = {
  config: 'replace',
  addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
  transports: [tcp()],
  connectionEncrypters: [noise()],
  streamMuxers: [yamux()],
  services: { identify: identify() }
}
const helia = withBitswap(withLibp2pLight(createHeliaLight(), libp2p))
await helia.start()
const files = unixfs(helia)

function * sources (root, at = '') {
  const here = path.join(root, at)
  if (!fs.statSync(here).isDirectory()) yield { path: at === '' ? path.basename(root) : at, content: fs.createReadStream(here) }
  else for (const name of fs.readdirSync(here)) yield * sources(root, path.join(at, name))
}

const commands = {
  // Add a file, or the content of a folder. chunk: bytes of a chunk; raw: raw leaves; version: of the CID; layout; shard:
  // the bytes of a folder's block above which it becomes a HAMT.
  async add ({ from, chunk = 262144, raw = true, version = 1, layout = 'balanced', width = 174, shard = 262144 }) {
    const folder = fs.statSync(from).isDirectory()
    const options = {
      rawLeaves: raw, cidVersion: version, wrapWithDirectory: folder, shardSplitThresholdBytes: shard,
      reduceSingleLeafToSelf: true, chunker: fixedSize({ chunkSize: chunk }),
      layout: layout === 'trickle' ? trickle({ maxChildrenPerNode: width }) : balanced({ maxChildrenPerNode: width })
    }
    let last
    for await (const one of importer(sources(from), helia.blockstore, options)) last = one
    return { cid: last.cid.toString() }
  },
  async get ({ addr, cid, to }) {
    await helia.libp2p.dial(multiaddr(addr))
    const began = performance.now()
    const bytes = await write(files, CID.parse(cid), to)
    return { bytes, seconds: (performance.now() - began) / 1000 }
  },
  // Fetch from a gateway over HTTP alone, by Helia's client of trustless gateways, into a new blockstore.
  async http ({ url, cid, to }) {
    const other = createHeliaLight()
    const gateways = fallbackRouter({ gateways: [url] })
    // Helia waits without end for routers that are not fallbacks if there are none: so this one is no fallback.
    other.addRouter({ name: 'gateway', findProviders: (...all) => gateways.findProviders(...all) })
    other.addBlockBroker(trustlessGatewayBlockBroker({ allowInsecure: true, allowLocal: true }))
    await other.start()
    const bytes = await write(unixfs(other), CID.parse(cid), to)
    await other.stop()
    return { bytes }
  },
  // Add the blocks of a CAR.
  async carIn ({ from }) {
    const reader = await CarReader.fromIterable(fs.createReadStream(from))
    await car(helia).import(reader)
    return { roots: (await reader.getRoots()).map(String) }
  },
  // Write an object as a CAR. It has to be here.
  async carOut ({ cid, to }) {
    const out = fs.openSync(to, 'w')
    for await (const part of car(helia).export(CID.parse(cid), { offline: true })) fs.writeSync(out, part)
    fs.closeSync(out)
    return {}
  },
  // Write an object that is here as a file or folder.
  async write ({ cid, to }) {
    return { bytes: await write(files, CID.parse(cid), to) }
  }
}

async function write (files, cid, to) {
  const { type } = await files.stat(cid)
  if (type !== 'directory') {
    const out = fs.openSync(to, 'w')
    let bytes = 0
    for await (const part of files.cat(cid)) bytes += fs.writeSync(out, part)
    fs.closeSync(out)
    return bytes
  }
  fs.mkdirSync(to)
  let bytes = 0
  for await (const one of files.ls(cid)) bytes += await write(files, one.cid, path.join(to, one.name))
  return bytes
}

console.log(JSON.stringify({ addr: helia.libp2p.getMultiaddrs()[0].toString(), agent: 'helia' }))
for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line)
  try {
    console.log(JSON.stringify(await commands[command.do](command)))
  } catch (error) {
    console.log(JSON.stringify({ error: String(error) }))
  }
}
process.exit(0)
