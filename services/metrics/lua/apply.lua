-- One batch, all or nothing. Refused unless the partition is where the worker left it.
-- KEYS[1] position; ARGV[1] epoch, ARGV[2] step, ARGV[3] id of this step, ARGV[4] the changes (MessagePack),
-- ARGV[5…] the packed values that the changes name by their place: cmsgpack does not know binary strings.
local epoch, step, applied = unpack(redis.call('HMGET', KEYS[1], 'epoch', 'step', 'applied'))
if epoch ~= ARGV[1] then
  return 'fenced'
end
if applied == ARGV[3] then
  return 'applied' -- the answer to this very step was lost on its way; it is not done twice
end
if (step or '0') ~= ARGV[2] then
  return 'fenced'
end

local changes = cmsgpack.unpack(ARGV[4])

for _, change in ipairs(changes.set) do
  redis.call('SET', change[1], ARGV[change[2]])
end
for _, change in ipairs(changes.push) do
  for at = 2, #change do
    redis.call('RPUSH', change[1], ARGV[change[at]])
  end
end
for _, change in ipairs(changes.add) do
  local key = change[1]
  for at = 4, #change, 2 do
    if redis.call('HINCRBY', key, change[at], change[at + 1]) == 0 then
      redis.call('HDEL', key, change[at])
    end
  end
  if change[3] then
    redis.call('HSET', key, '@', string.sub(ARGV[3], 1, 12)) -- over, so that readers may keep it: a new version
  end
  if change[2] ~= '' then
    redis.call('EXPIREAT', key, change[2])
  end
end
for _, change in ipairs(changes.zrem) do
  for at = 2, #change do
    redis.call('ZREM', change[1], change[at])
  end
end
for _, change in ipairs(changes.zadd) do
  for at = 2, #change, 2 do
    redis.call('ZADD', change[1], change[at], change[at + 1])
  end
end
for _, segment in ipairs(changes.drop) do
  redis.call('DEL', changes.gauges .. segment)
  redis.call('ZREM', changes.segments, segment)
end
for _, change in ipairs(changes.append) do
  redis.call('XADD', change[1], '*', 'id', change[2], 'key', change[3], 'value', ARGV[change[4]])
end

redis.call('HSET', KEYS[1], 'applied', ARGV[3], unpack(changes.position))
redis.call('HINCRBY', KEYS[1], 'step', 1)
return 'done'
