namespace Trainer.Kernels.Tests;

public sealed unsafe class VectorMathTests
{
    // Of the last place of float32.
    private const double Unit = 1.0 / (1 << 23);

    public static TheoryData<string, double, double, double> Functions => new()
    {
        { "exp", -87, 88, 1.5 }, { "exp", -1, 1, 1 }, { "sigmoid", -80, 20, 3 }, { "tanh", -10, 10, 2 }, { "tanh", -0.7, 0.7, 2 },
        { "normal", -3, 8, 4 },
    };

    [Theory]
    [MemberData(nameof(Functions))]
    public void Errors_stay_within_a_few_units_in_the_last_place(string function, double from, double to, double units)
    {
        double worst = 0, at = 0;
        const int Count = 200_000;
        float* x = stackalloc float[8], y = stackalloc float[8];
        for (int i = 0; i < Count; i += 8)
        {
            for (int j = 0; j < 8; j++) x[j] = (float)(from + (to - from) * (i + j) / Count);
            Evaluate<Lanes8>(function, x, y);
            for (int j = 0; j < 8; j++)
            {
                double expected = Exact(function, x[j]), error = Math.Abs(y[j] - expected) / (Math.Abs(expected) * Unit);
                if (error > worst) (worst, at) = (error, x[j]);
            }
        }
        Assert.True(worst <= units, $"{function}({at}) is {worst} units in the last place away");
    }

    [Theory]
    [InlineData("exp")]
    [InlineData("sigmoid")]
    [InlineData("tanh")]
    [InlineData("normal")]
    public void Every_width_gives_the_same_bits_also_far_out(string function)
    {
        float[] numbers = [0, -0f, 1e-30f, -1e-30f, 87.3f, -87.3f, -87.4f, 88.5f, 1e4f, -1e4f, float.PositiveInfinity,
            float.NegativeInfinity, float.NaN, 0.62f, 0.63f, -3f];
        float[] one = new float[16], four = new float[16], eight = new float[16], sixteen = new float[16];
        fixed (float* x = numbers, a = one, b = four, c = eight, d = sixteen)
        {
            for (int i = 0; i < 16; i++) Evaluate<Lanes1>(function, x + i, a + i);
            for (int i = 0; i < 16; i += 4) Evaluate<Lanes4>(function, x + i, b + i);
            for (int i = 0; i < 16; i += 8) Evaluate<Lanes8>(function, x + i, c + i);
            Evaluate<Lanes16>(function, x, d);
        }
        Assert.Equal(one, four);
        Assert.Equal(one, eight);
        Assert.Equal(one, sixteen);
        Assert.True(float.IsNaN(one[12]));
        (float low, float high) = function switch { "exp" => (0, 2.2e38f), "sigmoid" => (0, 1), "tanh" => (-1, 1), _ => (0f, 1f) };
        foreach (int i in (int[])[8, 10]) Assert.InRange(one[i], high, float.MaxValue);
        foreach (int i in (int[])[9, 11]) Assert.InRange(one[i], low, low + 1e-37f);
    }

    private static void Evaluate<T>(string function, float* x, float* y) where T : unmanaged, ILanes<T> => T.Store(function switch
    {
        "exp" => VectorMath.Exp(T.Load(x)),
        "sigmoid" => VectorMath.Sigmoid(T.Load(x)),
        "tanh" => VectorMath.Tanh(T.Load(x)),
        _ => VectorMath.NormalDistribution(T.Load(x), out _),
    }, y);

    private static double Exact(string function, double x) => function switch
    {
        "exp" => Math.Exp(x),
        "sigmoid" => 1 / (1 + Math.Exp(-x)),
        "tanh" => Math.Tanh(x),
        _ => Normal(x),
    };

    // By the continued fraction of its tail, or its series near 0 (Abramowitz and Stegun 26.2.14, 26.2.11).
    private static double Normal(double x)
    {
        double density = Math.Exp(-x * x / 2) / Math.Sqrt(2 * Math.PI), t = Math.Abs(x);
        if (t < 3)
        {
            double term = x, sum = x;
            for (int n = 1; n < 100; n++) sum += term *= x * x / (2 * n + 1);
            return 0.5 + density * sum;
        }
        double fraction = t;
        for (int n = 200; n > 0; n--) fraction = t + n / fraction;
        return x < 0 ? density / fraction : 1 - density / fraction;
    }
}
