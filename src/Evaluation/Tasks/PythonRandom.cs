namespace Trainer.Evaluation.Tasks;

/// <summary>Python's random.Random: the Mersenne Twister (Matsumoto and Nishimura 1998), for the examples that the harness draws.</summary>
internal sealed class PythonRandom
{
    private const int Size = 624;

    private readonly uint[] state = new uint[Size];
    private int next = Size;

    /// <param name="seed">A whole number; its sign makes no difference, as in Python.</param>
    public PythonRandom(long seed)
    {
        ulong number = (ulong)Math.Abs(seed);
        uint[] key = number > uint.MaxValue ? [(uint)number, (uint)(number >> 32)] : [(uint)number];
        state[0] = 19650218;
        for (int i = 1; i < Size; i++) state[i] = 1812433253 * (state[i - 1] ^ (state[i - 1] >> 30)) + (uint)i;
        int at = 1;
        for (int k = 0; k < Size; k++)
        {
            int j = k % key.Length;
            state[at] = (state[at] ^ ((state[at - 1] ^ (state[at - 1] >> 30)) * 1664525)) + key[j] + (uint)j;
            Advance(ref at);
        }
        for (int k = 0; k < Size - 1; k++)
        {
            state[at] = (state[at] ^ ((state[at - 1] ^ (state[at - 1] >> 30)) * 1566083941)) - (uint)at;
            Advance(ref at);
        }
        state[0] = 0x80000000;
    }

    /// <summary>random.sample of range(count).</summary>
    public int[] Sample(int count, int size)
    {
        int[] drawn = new int[size];
        double sets = 21 + (size > 5 ? Math.Pow(4, Math.Ceiling(Math.Log(size * 3, 4))) : 0);
        if (count <= sets)
        {
            int[] pool = [.. Enumerable.Range(0, count)];
            for (int i = 0; i < size; i++)
            {
                int j = Below(count - i);
                drawn[i] = pool[j];
                pool[j] = pool[count - i - 1];
            }
            return drawn;
        }
        HashSet<int> taken = [];
        for (int i = 0; i < size; i++)
        {
            int j;
            do j = Below(count);
            while (!taken.Add(j));
            drawn[i] = j;
        }
        return drawn;
    }

    // randbelow: as many bits as the number has, until they are below it.
    private int Below(int count)
    {
        int bits = 32 - int.LeadingZeroCount(count);
        uint drawn;
        do drawn = Next() >> (32 - bits);
        while (drawn >= count);
        return (int)drawn;
    }

    private uint Next()
    {
        if (next == Size) Twist();
        uint y = state[next++];
        y ^= y >> 11;
        y ^= (y << 7) & 0x9d2c5680;
        y ^= (y << 15) & 0xefc60000;
        return y ^ (y >> 18);
    }

    private void Twist()
    {
        for (int i = 0; i < Size; i++)
        {
            uint y = (state[i] & 0x80000000) | (state[(i + 1) % Size] & 0x7fffffff);
            state[i] = state[(i + 397) % Size] ^ (y >> 1) ^ ((y & 1) * 0x9908b0df);
        }
        next = 0;
    }

    private void Advance(ref int at)
    {
        if (++at < Size) return;
        state[0] = state[Size - 1];
        at = 1;
    }
}
