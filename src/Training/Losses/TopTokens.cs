// Shapes: N targets, V vocabulary, K tokens that are kept of each.
using TorchSharp;
using Trainer.Kernels;
using static TorchSharp.torch;

namespace Trainer.Training.Losses;

/// <summary>The likeliest tokens of distributions: their ids, (N, K), int64, and logarithms of probabilities, (N, K + 1), float32, of which
/// the last is that of all other tokens together, −∞ where there is none.</summary>
internal readonly record struct TopTokens(Tensor Ids, Tensor Logs)
{
    // An id has 16 bits where that is enough.
    private const int SmallVocabulary = 1 << 16;

    /// <summary>Of logits (N, V), divided by the temperature.</summary>
    public static TopTokens Of(Tensor logits, int count, double temperature)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor scaled = logits.div(temperature);
        (Tensor likeliest, Tensor ids) = scaled.topk(count, -1);
        Tensor logs = cat([likeliest, Others(scaled, ids)], -1).sub(scaled.logsumexp(-1, keepdim: true));
        return new(ids.MoveToOuterDisposeScope(), logs.MoveToOuterDisposeScope());
    }

    /// <summary>The divergence between these distributions and a student's of logits (N, V) at the temperature, summed over rows: of K
    /// tokens and, as one more class, all others. With K = V it is that of all tokens, and with less it is never more: classes that are put
    /// together do not tell distributions apart.</summary>
    public Tensor Divergence(Tensor student, DistillationOptions options)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor scaled = student.div(options.Temperature);
        (Tensor own, Tensor logs) = (scaled.gather(-1, Ids), Logs);
        if (Ids.size(1) < student.size(1)) own = cat([own, Others(scaled, Ids)], -1); // (N, K) → (N, K + 1)
        else logs = logs.narrow(1, 0, Ids.size(1));
        // Of numbers that were rounded when they were kept, which add up to 1 once more.
        Tensor teacher = nn.functional.log_softmax(logs, -1);
        return DistillationLoss.Divergence(nn.functional.log_softmax(own, -1), teacher, options.Divergence).MoveToOuterDisposeScope();
    }

    /// <summary>Bytes of a target: ids of 2 or 4 bytes, then logarithms as float16.</summary>
    /// <remarks>float16 holds a logarithm of probability p to 1 in 2,048 of itself, so p to |log p| / 2,048 of itself: at most 2e-4 of 1,
    /// far below what K tokens leave out. float32 would make the whole half as large again.</remarks>
    public static int BytesPerTarget(int count, int vocabulary) => count * IdBytes(vocabulary) + 2 * (count + 1);

    /// <summary>(N, <see cref="BytesPerTarget"/>), bytes.</summary>
    public Tensor Pack(int vocabulary)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor ids = Ids.to(IdBytes(vocabulary) == 2 ? ScalarType.Int16 : ScalarType.Int32).contiguous();
        Tensor logs = Logs.to(ScalarType.Float16).contiguous();
        return cat([ids.ViewAs(ScalarType.Byte), logs.ViewAs(ScalarType.Byte)], 1).MoveToOuterDisposeScope();
    }

    /// <summary>What <see cref="Pack"/> made.</summary>
    public static TopTokens Unpack(Tensor packed, int count, int vocabulary)
    {
        using DisposeScope scope = NewDisposeScope();
        int width = count * IdBytes(vocabulary);
        Tensor stored = packed.narrow(1, 0, width).contiguous(), logs = packed.narrow(1, width, 2 * (count + 1)).contiguous();
        Tensor ids = IdBytes(vocabulary) == 2
            ? stored.ViewAs(ScalarType.Int16).to(ScalarType.Int64).bitwise_and(tensor(SmallVocabulary - 1L))
            : stored.ViewAs(ScalarType.Int32).to(ScalarType.Int64);
        return new(
            ids.MoveToOuterDisposeScope(), logs.ViewAs(ScalarType.Float16).to(ScalarType.Float32).MoveToOuterDisposeScope());
    }

    private static int IdBytes(int vocabulary) => vocabulary <= SmallVocabulary ? sizeof(ushort) : sizeof(int);

    // The summed exponentials of all logits but some, as a logarithm: (N, 1). Not 1 less the others, which would leave nothing of little.
    private static Tensor Others(Tensor logits, Tensor ids) =>
        logits.scatter(-1, ids, full(ids.shape, double.NegativeInfinity, logits.dtype, logits.device)).logsumexp(-1, keepdim: true);
}
