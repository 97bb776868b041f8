"""The script by which Redis charges limits: the arithmetic of ``kernel/guard/gcra.py``, in numbers that Lua has."""

CHARGE = """
-- KEYS: 1 the busy keys, by when each is idle; then for each charge its own state, and that of those without a place.
-- ARGV: 1 now in microseconds, or "" for the time of the server; 2 the cost; 3 "charge" or "peek"; 4 how many keys may
--       be busy; then for each charge "bucket", nanoseconds of one call, nanoseconds of all, or "window", its length in
--       microseconds, its quota.
-- A bucket is "microsecond debt": the nanoseconds that were missing then. A window is "number calls calls-before".
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
end
local cost, charging, most = tonumber(ARGV[2]), ARGV[3] == 'charge', tonumber(ARGV[4])

local function bucket(state, interval, tolerance, cost)
  local debt, ahead = 0, false
  if state then
    local at, was = string.match(state, '(%S+) (%S+)')
    at, ahead = tonumber(at), tonumber(at) > now
    debt = math.max(0, math.min(tolerance, tonumber(was) - (now - at) * 1000))
  end
  local price = cost * interval
  local after = debt + price
  if after <= tolerance then
    local made = string.format('%.0f %.17g', now, after)
    local verdict = {1, math.floor((tolerance - after) / interval), math.ceil(after / 1000),
                     math.ceil(math.max(0, after + price - tolerance) / 1000)}
    return verdict, made, now + math.ceil(after / 1000), ahead
  end
  local retry = price <= tolerance and math.ceil((after - tolerance) / 1000) or -1
  local made = string.format('%.0f %.17g', now, debt)
  return {0, math.floor((tolerance - debt) / interval), math.ceil(debt / 1000), retry}, made,
         now + math.ceil(debt / 1000), ahead
end

local function wait(current, before, left, cost, span, quota)
  local spare = quota - current - cost
  if cost > quota then return -1 end
  if spare >= 0 then return left - math.floor(spare * span / before) end
  return left + span - math.floor((quota - cost) * span / current)
end

local function window(state, span, quota, cost)
  local index = math.floor(now / span)
  local left = span - (now - index * span)
  local current, before, ahead = 0, 0, false
  if state then
    local stored, calls, earlier = string.match(state, '(%S+) (%S+) (%S+)')
    stored = tonumber(stored)
    if stored == index - 1 then
      before = tonumber(calls)
    elseif stored >= index then
      current, before, ahead = tonumber(calls), tonumber(earlier), stored > index
    end
  end
  local room = (quota - current) * span - before * left
  local allowed = cost * span <= room
  if allowed then
    current, room = current + cost, room - cost * span
  end
  local retry = 0
  if not allowed or cost * span > room then retry = wait(current, before, left, cost, span, quota) end
  local reset, idle = 0, 0
  if current > 0 then
    reset, idle = left + span, (index + 2) * span
  elseif before > 0 then
    reset, idle = left, (index + 1) * span
  end
  local verdict = {allowed and 1 or 0, math.max(0, math.floor(room / span)), reset, retry}
  return verdict, string.format('%.0f %.0f %.0f', index, current, before), idle, ahead
end

local meters = {bucket = bucket, window = window}
if charging then redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now)) end
local busy = redis.call('ZCARD', KEYS[1])
if not charging then busy = busy - redis.call('ZCOUNT', KEYS[1], '-inf', string.format('%.0f', now)) end

local states, placed = {}, {}
local function seat(number)
  local own, others = KEYS[2 * number], KEYS[2 * number + 1]
  if placed[own] then return placed[own] end
  states[own] = redis.call('GET', own)
  if states[own] or busy < most then
    if not states[own] then busy = busy + 1 end
    placed[own] = own
  else
    placed[own] = others
    if states[others] == nil then states[others] = redis.call('GET', others) end
  end
  return placed[own]
end

local charges = (#KEYS - 1) / 2
local function measure(number, cost)
  local key, at = seat(number), 5 + 3 * (number - 1)
  local verdict, made, idle, ahead =
    meters[ARGV[at]](states[key], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), cost)
  return key, verdict, made, idle, ahead
end

local function keep(key, number, state, idle)
  if idle <= now then
    redis.call('DEL', key)
    redis.call('ZREM', KEYS[1], key)
    return
  end
  redis.call('SET', key, state, 'PX', string.format('%.0f', math.ceil((idle - now) / 1000) + 1000))
  if key == KEYS[2 * number] then redis.call('ZADD', KEYS[1], string.format('%.0f', idle), key) end
end

local verdicts, writes, undo, refused = {}, {}, {}, false
for number = 1, charges do
  local key, verdict, made, idle, ahead = measure(number, cost)
  undo[number] = {key, states[key]}
  if verdict[1] == 1 and charging then states[key] = made end
  if verdict[1] == 0 then refused = true end
  -- What was stored in what is the future now, as the time was set back, is stored anew: it would count for too long.
  if verdict[1] == 1 or ahead then writes[#writes + 1] = {key, number, made, idle, verdict[1]} end
  verdicts[number] = verdict
end
if refused and charging then
  for number = charges, 1, -1 do
    if verdicts[number][1] == 1 then states[undo[number][1]] = undo[number][2] end
  end
  for number = 1, charges do
    if verdicts[number][1] == 1 then
      local _, verdict = measure(number, 0)
      verdicts[number] = verdict
    end
  end
end
if charging then
  for _, write in ipairs(writes) do
    if not refused or write[5] == 0 then keep(write[1], write[2], write[3], write[4]) end
  end
  local last = redis.call('ZREVRANGE', KEYS[1], 0, 0, 'WITHSCORES')
  if last[2] then
    redis.call('PEXPIRE', KEYS[1], string.format('%.0f', math.ceil((tonumber(last[2]) - now) / 1000) + 1000))
  end
end
return verdicts
"""
