-- One batch, all or nothing. Refused unless the partition is where the worker left it.
-- KEYS[1] position; ARGV[1] epoch, ARGV[2] step, ARGV[3] id of this step, ARGV[4] the changes (MessagePack), ARGV[5] the
-- newest version that is there, ARGV[6…] the packed values that the changes name by their place: cmsgpack does not know
-- binary strings.
-- A row of `changes.add` are the buckets of one start: what their keys begin with, when they end (false: never), whether
-- they are over, and for each what follows in its key and the place of what it changes by.
local call = redis.call
local MOST = 1000 -- values that unpack puts on Lua's stack at once
local LATE = 8192 -- names of buckets changed after their end that are kept for readers: a minute's worth and more
local MANY = 1000 -- a step that changes more of them is history that is loaded: readers begin anew
-- A bucket is one packed string as long as it has at most so many bytes, or at most so many times those of what it changes
-- by. What outgrows that becomes a hash, for good: what is written for an event must not grow with its buckets.
local SMALL, SHARE = 512, 4

-- What buckets change by, unpacked once however many change by it.
local amounts = setmetatable({}, {__index = function(known, place)
  local found = cmsgpack.unpack(ARGV[place])
  known[place] = found
  return found
end})
-- Redis writes Lua's numbers as fractions of 17 digits, which is slow. Most sums are small and come again and again.
local written = setmetatable({}, {__index = function(known, number)
  local text = string.format('%d', number)
  known[number] = text
  return text
end})

-- Adds to a bucket that is a hash: `changed` are amounts by field. What is zero then is not kept.
local function added_to_hash(key, version, changed)
  local fields, sums, gone = {}, {}, {}
  for field in pairs(changed) do
    fields[#fields + 1] = field
  end
  for from = 1, #fields, MOST do
    local till = math.min(from + MOST - 1, #fields)
    local stood = call('HMGET', key, unpack(fields, from, till))
    for at = from, till do
      local before, sum = stood[at - from + 1], changed[fields[at]]
      if before then
        sum = sum + before
      end
      if sum ~= 0 then
        sums[#sums + 1] = fields[at]
        sums[#sums + 1] = written[sum]
      elseif before then
        gone[#gone + 1] = fields[at]
      end
    end
  end
  if version ~= '' then
    sums[#sums + 1] = '@'
    sums[#sums + 1] = string.sub(version, 2)
  end
  for from = 1, #sums, 2 * MOST do -- before anything goes: a bucket that was empty for a moment would never end
    call('HSET', key, unpack(sums, from, math.min(from + 2 * MOST - 1, #sums)))
  end
  for from = 1, #gone, MOST do
    call('HDEL', key, unpack(gone, from, math.min(from + MOST - 1, #gone)))
  end
end

-- Adds to a bucket that is there.
local function added(key, expires, version, changed, size)
  if call('TYPE', key).ok == 'hash' then
    return added_to_hash(key, version, changed)
  end
  local held = call('GET', key)
  if string.byte(held) == 64 then -- it has a version, which stays or is replaced
    version = version ~= '' and version or string.sub(held, 1, 13)
    held = string.sub(held, 14)
  end
  local sums = cmsgpack.unpack(held)
  for field, amount in pairs(changed) do
    local sum = (sums[field] or 0) + amount
    sums[field] = sum ~= 0 and sum or nil
  end
  local packed = version .. cmsgpack.pack(sums)
  if next(sums) == nil and version == '' then
    call('DEL', key)
  elseif #packed <= math.max(SMALL, SHARE * size) then
    call('SET', key, packed, 'KEEPTTL')
  else
    call('DEL', key)
    added_to_hash(key, version, sums)
    if expires then
      call('EXPIREAT', key, expires)
    end
  end
end

local epoch, step, applied, newest = unpack(call('HMGET', KEYS[1], 'epoch', 'step', 'applied', 'newest'))
if epoch ~= ARGV[1] then
  return 'fenced'
end
if applied == ARGV[3] then
  return 'applied' -- the answer to this very step was lost on its way; it is not done twice
end
if (step or '0') ~= ARGV[2] or (newest or '0') ~= ARGV[5] then
  return 'fenced'
end

local changes = cmsgpack.unpack(ARGV[4])

for _, key in ipairs(changes.del) do
  redis.call('DEL', key)
end
for _, change in ipairs(changes.set) do
  call('SET', change[1], ARGV[change[2]])
end
for _, change in ipairs(changes.push) do
  for at = 2, #change do
    call('RPUSH', change[1], ARGV[change[at]])
  end
end
local slot, now = string.sub(KEYS[1], 1, -4), ARGV[2] + 1
local named = #slot + 3 -- where the name of a bucket begins in its key
local late = {}
for _, place in ipairs(changes.add) do
  local prefix, expires = place[1], place[2]
  local name, fresh, size = string.sub(prefix, named), {}, 0
  local version = place[3] and '@' .. string.sub(ARGV[3], 1, 12) or '' -- over, so that readers may keep it
  for at = 4, #place, 2 do
    local key, packed = prefix .. place[at], ARGV[place[at + 1]]
    local new
    if expires then
      new = call('SET', key, version .. packed, 'NX', 'EXAT', expires)
    else
      new = call('SET', key, version .. packed, 'NX')
    end
    if not new then
      added(key, expires, version, amounts[place[at + 1]], #packed)
    elseif expires then
      fresh[size + 1], fresh[size + 2] = place[at], ''
      size = size + 2
    end
    if place[3] then
      late[#late + 1] = name .. place[at]
    end
  end
  if size > 0 then -- listed for readers, who then need not ask for what is not there
    local list = slot .. 'i:' .. string.sub(name, 1, -2)
    for from = 1, size, 2 * MOST do
      call('HSET', list, unpack(fresh, from, math.min(from + 2 * MOST - 1, size)))
    end
    call('EXPIREAT', list, expires)
  end
end
if #late > MANY then
  call('DEL', slot .. 'late')
  call('HSET', KEYS[1], 'late_from', now)
elseif #late > 0 then
  local list, scored = slot .. 'late', {}
  for at, name in ipairs(late) do
    scored[2 * at - 1], scored[2 * at] = now, name
  end
  call('ZADD', list, unpack(scored))
  local over = call('ZCARD', list) - LATE
  if over > 0 then
    local gone = call('ZPOPMIN', list, over)
    call('HSET', KEYS[1], 'late_from', gone[#gone])
  end
end
for _, change in ipairs(changes.zrem) do
  for at = 2, #change do
    call('ZREM', change[1], change[at])
  end
end
for _, change in ipairs(changes.zadd) do
  for at = 2, #change, 2 do
    call('ZADD', change[1], change[at], change[at + 1])
  end
end
for _, segment in ipairs(changes.drop) do
  call('DEL', changes.gauges .. segment)
  call('ZREM', changes.segments, segment)
end
for _, change in ipairs(changes.append) do
  call('XADD', change[1], '*', 'id', change[2], 'key', change[3], 'value', ARGV[change[4]])
end

call('HSET', KEYS[1], 'applied', ARGV[3], unpack(changes.position))
call('HINCRBY', KEYS[1], 'step', 1)
return 'done'
