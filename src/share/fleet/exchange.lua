-- Adds a batch of deltas to what the fleet remembers, and answers with what it remembers now.
--
-- KEYS[1]  the shard, <prefix>:{<number>}. Every key used here begins with it, so that all lie in one slot of a cluster.
-- ARGV[1]  JSON: [source, sequence, cursor, most hot, seconds to live, entries]; an entry is [name, hot, sums, places, members].
--          A batch that a source sends again, because no answer came, is not added again.
-- Returns  JSON: [time, added, cursor, a record for each entry, hot records]; a record is [name, sums, places, members],
--          or 0 where nothing is known.
--
-- A name is a kind and a hash. Sums fade by half in a minute, an hour or a day; places are sets of 32 bits each and members are
-- counted by HyperLogLog, both of half a day to a day. All times are the engine's: clocks of hosts do not matter.
local shard = KEYS[1]
local source, sequence, cursor, most, lifetime, entries = unpack(cjson.decode(ARGV[1]))
local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1e6
local HALF_DAY = 43200
local span = math.floor(now / HALF_DAY)

-- The horizon of each sum, by kind: 1 a minute, 2 an hour, 3 a day. Bands have members only.
local LAYOUT = {
  a = {1, 2, 3, 1, 2, 3, 3, 3, 3, 3},
  g = {3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3},
  b = {},
}
-- Of groups, the last two sums are a ratio of the most recent questions: at most so many of them count.
local RECENT = 64
-- What no honest sum reaches.
local LARGEST = 1e13

local function text(reply)
  return type(reply) == 'string' and reply or nil
end

-- What is stored under a name. Anything else that stands there is somebody else's, and stays.
local function recall(key)
  local packed = redis.call('GET', key)
  if not packed then
    return {now, span, {}, {}, {}}
  end
  local record = cmsgpack.unpack(packed)
  assert(type(record) == 'table' and type(record[1]) == 'number' and type(record[3]) == 'table')
  return record
end

local function merged(key, layout, sums, places)
  local time, seen, before_sums, here, before = unpack(recall(key))
  local elapsed = math.max(0, now - time)
  local left = {2 ^ (-elapsed / 60), 2 ^ (-elapsed / 3600), 2 ^ (-elapsed / 86400)}
  local total = {}
  for i, horizon in ipairs(layout) do
    local sum = (before_sums[i] or 0) * left[horizon] + (sums[i] or 0)
    total[i] = math.abs(sum) <= LARGEST and sum or 0
  end
  if seen ~= span then
    here, before = {}, seen == span - 1 and here or {}
  end
  for i, bits in ipairs(places) do
    here[i] = bit.bor(here[i] or 0, bits)
  end
  return total, here, before
end

-- Members of this half day and the one before: each is noted for both half days in which it counts, so that one key has all.
local function count(key, members)
  local current = key .. ':' .. span
  if #members > 0 then
    for _, members_key in ipairs({current, key .. ':' .. (span + 1)}) do
      redis.call('PFADD', members_key, unpack(members))
      redis.call('EXPIRE', members_key, 2 * HALF_DAY)
    end
  end
  return redis.call('PFCOUNT', current)
end

local function numbers(list, form)
  local written = {}
  for i, number in ipairs(list) do
    written[i] = string.format(form, number)
  end
  return '[' .. table.concat(written, ',') .. ']'
end

local function update(name, sums, places, members)
  local key, kind = shard .. ':' .. name, string.sub(name, 1, 1)
  local total, here, before = merged(key, LAYOUT[kind], sums, places)
  if kind == 'g' and total[11] > RECENT then
    total[11], total[12] = RECENT, total[12] * RECENT / total[11]
  end
  if #sums > 0 then
    redis.call('SET', key, cmsgpack.pack({now, span, total, here, before}), 'EX', lifetime)
  end
  local both = {}
  for i = 1, math.max(#here, #before) do
    both[i] = bit.bor(here[i] or 0, before[i] or 0) % 4294967296
  end
  local counted = kind == 'a' and 0 or count(key .. ':members', members)
  return '["' .. name .. '",' .. numbers(total, '%.6g') .. ',' .. numbers(both, '%.0f') .. ',' .. counted .. ']'
end

-- The first write: an engine that takes none fails here, before anything was added.
local guard = shard .. ':source:' .. source
local last = tonumber(text(redis.pcall('GET', guard)) or 0) or 0
local is_new = sequence > last
if is_new then
  redis.call('SET', guard, sequence, 'EX', 3600)
end

local records, hot_key = {}, shard .. ':hot'
for i, entry in ipairs(entries) do
  local name, hot, sums, places, members = unpack(entry)
  -- Where somebody else's value stands in the way, this one is not known.
  local ok, record = pcall(update, name, is_new and sums or {}, is_new and places or {}, is_new and members or {})
  records[i] = ok and record or '0'
  if is_new and hot > 0 then
    local told = tonumber(text(redis.pcall('ZSCORE', hot_key, name)) or 0)
    if now < told or now - told > 1 then
      -- No two at the same time, so that a cursor can stand between them.
      redis.pcall('ZADD', hot_key, now + i * 1e-6, name)
    end
  end
end

local KEPT = 1000
redis.pcall('ZREMRANGEBYRANK', hot_key, 0, -KEPT - 1)
redis.pcall('EXPIRE', hot_key, lifetime)
if cursor > now + 1 then
  cursor = 0
end
local hot = {}
local found = redis.pcall('ZRANGEBYSCORE', hot_key, string.format('(%.6f', cursor), '+inf', 'WITHSCORES', 'LIMIT', 0, most)
for i = 1, found.err and 0 or #found, 2 do
  cursor = tonumber(found[i + 1])
  local ok, record = pcall(update, found[i], {}, {}, {})
  if ok then
    hot[#hot + 1] = record
  end
end
return string.format('[%.6f,%d,%.6f,[', now, is_new and 1 or 0, cursor) .. table.concat(records, ',') .. '],[' .. table.concat(hot, ',') .. ']]'
