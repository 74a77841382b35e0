-- One batch, all or nothing. Refused unless the partition is where the worker left it.
-- KEYS[1] position; ARGV[1] epoch, ARGV[2] step, ARGV[3] id of this step, ARGV[4] the changes (MessagePack),
-- ARGV[5…] the packed values that the changes name by their place: cmsgpack does not know binary strings.
local call = redis.call
local MOST = 1000 -- values that unpack puts on Lua's stack at once
-- Redis writes Lua's numbers as fractions of 17 digits, which is slow. Most sums are small and come again and again.
local written = setmetatable({}, {__index = function(known, number)
  local text = string.format('%d', number)
  known[number] = text
  return text
end})

local epoch, step, applied = unpack(call('HMGET', KEYS[1], 'epoch', 'step', 'applied'))
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
for _, change in ipairs(changes.add) do
  local key, column = change[1], changes.columns[change[4]]
  local fields, amounts = column[1], column[2]
  local found, sums, size, gone = false, {}, 0, {}
  for from = 1, #fields, MOST do
    local till = math.min(from + MOST - 1, #fields)
    local stood = call('HMGET', key, unpack(fields, from, till))
    for at = from, till do
      local before = stood[at - from + 1]
      local sum = amounts[at]
      if before then
        found, sum = true, sum + before
      end
      if sum ~= 0 then
        size = size + 2
        sums[size - 1], sums[size] = fields[at], written[sum]
      elseif before then
        gone[#gone + 1] = fields[at]
      end
    end
  end
  if change[3] then -- over, so that readers may keep it: a new version
    size = size + 2
    sums[size - 1], sums[size] = '@', string.sub(ARGV[3], 1, 12)
  end
  for from = 1, size, 2 * MOST do -- before anything goes: a bucket that was empty for a moment would never end
    call('HSET', key, unpack(sums, from, math.min(from + 2 * MOST - 1, size)))
  end
  for from = 1, #gone, MOST do
    call('HDEL', key, unpack(gone, from, math.min(from + MOST - 1, #gone)))
  end
  if change[2] ~= '' and not found then -- what was there before is known to end
    call('EXPIREAT', key, change[2])
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
