using TorchSharp;
using Trainer.Kernels;
using Trainer.Tests;
using Trainer.Training.Losses;
using static TorchSharp.torch;

namespace Trainer.Training.Tests;

/// <summary>The likeliest tokens of a teacher, and the divergence from them.</summary>
public sealed class TopTokensTests
{
    private const int Rows = 5, Vocabulary = 11;

    public static TheoryData<DivergenceDirection, double> Divergences => new()
    {
        { DivergenceDirection.Forward, 1 }, { DivergenceDirection.Forward, 0.7 }, { DivergenceDirection.Forward, 4 },
        { DivergenceDirection.Reverse, 1 }, { DivergenceDirection.Reverse, 0.7 }, { DivergenceDirection.Reverse, 4 },
    };

    [Theory]
    [MemberData(nameof(Divergences))]
    public void All_tokens_give_the_divergence_of_whole_distributions_and_its_gradient(DivergenceDirection direction, double temperature)
    {
        using DisposeScope scope = NewDisposeScope();
        DistillationOptions options = new() { Teacher = "t", Divergence = direction, Temperature = temperature };
        (Tensor student, Tensor teacher) = (Logits(1).requires_grad_(), Logits(2));

        Tensor whole = DistillationLoss.Divergence(student, teacher, options);
        Tensor kept = TopTokens.Of(teacher, Vocabulary, temperature).Divergence(student, options);

        Assert.Equal(whole.ToDouble(), kept.ToDouble(), 1e-5);
        TensorAssert.Close(
            Differentiation.Grad([whole], [student])[0]!, Differentiation.Grad([kept], [student])[0]!, 1e-5, "gradient");
    }

    [Theory]
    [MemberData(nameof(Divergences))]
    public void Few_tokens_and_the_rest_give_the_formula_and_its_slopes(DivergenceDirection direction, double temperature)
    {
        using DisposeScope scope = NewDisposeScope();
        DistillationOptions options = new() { Teacher = "t", Divergence = direction, Temperature = temperature };
        (Tensor student, Tensor teacher) = (Logits(1).requires_grad_(), Logits(2));

        Tensor kept = TopTokens.Of(teacher, 3, temperature).Divergence(student, options);
        float[] gradient = Differentiation.Grad([kept], [student])[0]!.data<float>().ToArray();

        double[] s = Numbers(student), t = Numbers(teacher);
        Assert.Equal(Coarse(s, t, 3, direction, temperature), kept.ToDouble(), 1e-4);
        for (int i = 0; i < s.Length; i++)
        {
            const double step = 1e-5;
            double before = s[i];
            s[i] = before + step;
            double above = Coarse(s, t, 3, direction, temperature);
            s[i] = before - step;
            Assert.Equal((above - Coarse(s, t, 3, direction, temperature)) / (2 * step), gradient[i], 1e-4);
            s[i] = before;
        }
        Assert.InRange(kept.ToDouble(), 0, DistillationLoss.Divergence(student, teacher, options).ToDouble());
    }

    [Fact]
    public void What_is_left_out_keeps_its_probability_however_small()
    {
        using DisposeScope scope = NewDisposeScope();
        // 1 less the probability of the first would be 0 in float32.
        TopTokens top = TopTokens.Of(tensor(new float[] { 60, 1, 0, -3 }, [1, 4]), 1, 1);
        Assert.Equal(0, top.Ids.item<long>());
        Assert.Equal(Math.Log(Math.Exp(1) + 1 + Math.Exp(-3)) - 60, top.Logs[0, 1].ToDouble(), 1e-4);
        Assert.Equal(double.NegativeInfinity, TopTokens.Of(Logits(1), Vocabulary, 1).Logs[0, Vocabulary].ToDouble());
    }

    [Theory]
    [InlineData(65536, 2)]
    [InlineData(65537, 4)]
    public void Kept_bytes_are_read_as_they_were(int vocabulary, int bytesPerId)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor logits = randn([3, vocabulary], generator: new Generator(4));
        logits[0, vocabulary - 1] = 20;
        TopTokens top = TopTokens.Of(logits, 9, 1);

        Tensor packed = top.Pack(vocabulary);
        TopTokens read = TopTokens.Unpack(packed.slice(0, 1, 3, 1), 9, vocabulary), first = TopTokens.Unpack(packed, 9, vocabulary);

        Assert.Equal([3, 9 * bytesPerId + 10 * 2], packed.shape);
        Assert.Equal(packed.size(1), TopTokens.BytesPerTarget(9, vocabulary));
        Assert.Equal(vocabulary - 1, first.Ids[0, 0].item<long>());
        TensorAssert.Same(top.Ids.narrow(0, 1, 2), read.Ids, "ids");
        TensorAssert.Same(top.Logs.to(ScalarType.Float16).to(ScalarType.Float32), first.Logs, "logarithms");
    }

    private static Tensor Logits(long seed) => randn([Rows, Vocabulary], generator: new Generator((ulong)seed)).mul(3);

    private static double[] Numbers(Tensor logits) => [.. logits.data<float>().Select(number => (double)number)];

    // In double precision, of each row's likeliest tokens by the teacher and all others.
    private static double Coarse(double[] student, double[] teacher, int count, DivergenceDirection direction, double temperature)
    {
        double sum = 0;
        for (int row = 0; row < Rows; row++)
        {
            double[] s = Softmax(student, row, temperature), t = Softmax(teacher, row, temperature);
            int[] order = [.. Enumerable.Range(0, Vocabulary).OrderByDescending(token => t[token])];
            double[] Classes(double[] all) =>
                [.. order.Take(count).Select(token => all[token]), order.Skip(count).Sum(token => all[token])];
            (double[] from, double[] to) = direction == DivergenceDirection.Forward ? (Classes(t), Classes(s)) : (Classes(s), Classes(t));
            sum += from.Zip(to).Sum(pair => pair.First * Math.Log(pair.First / pair.Second));
        }
        return sum;
    }

    private static double[] Softmax(double[] logits, int row, double temperature)
    {
        double[] exponentials = [.. logits.Skip(row * Vocabulary).Take(Vocabulary).Select(logit => Math.Exp(logit / temperature))];
        double sum = exponentials.Sum();
        return [.. exponentials.Select(each => each / sum)];
    }
}
