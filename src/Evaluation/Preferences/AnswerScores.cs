// Shapes: R rows, T positions, C model dimension, N learned tokens.
using TorchSharp;
using Trainer.Data.Batches;
using Trainer.Inference;
using Trainer.Models;
using Trainer.Models.Devices;
using static TorchSharp.torch;

namespace Trainer.Evaluation.Preferences;

/// <summary>What a model finds of the answers of some rows: the summed logarithm of each one's probability, and how many tokens it has, both
/// (R, 2), float32, the chosen one first; 0 for an answer that is not there.</summary>
public readonly record struct AnswerScores(Tensor LogProbability, Tensor Tokens)
{
    /// <summary>Per token; 0 for an answer that is not there.</summary>
    public Tensor Mean => LogProbability.div(Tokens.clamp_min(1));

    /// <summary>Of a batch's hidden states (R·T, C) and targets (R·T), without those in a prefix of <paramref name="prefixLength"/> tokens.
    /// No GPU is waited for: the batch says where the answers are.</summary>
    public static AnswerScores Of(LanguageModel model, Batch batch, Tensor hidden, Tensor targets, int prefixLength)
    {
        using DisposeScope scope = NewDisposeScope();
        int[] learned = TargetPlaces.Of(batch, prefixLength);
        Tensor places = TargetPlaces.ToTensor(learned, hidden.device); // (N)
        long[] numbers = [.. learned.Select(place => place / batch.Columns * 2 + batch.Documents![place])];
        Tensor answer = tensor(numbers).ToDevice(hidden.device); // (N), of R·2
        Tensor found = TokenLogProbabilities.Of(model, hidden.index_select(0, places), targets.index_select(0, places)); // (N)
        Tensor sums = Zeros().index_add(0, answer, found, 1), counts = Zeros().index_add(0, answer, ones_like(found), 1);
        return new(
            sums.view(batch.Rows, 2).MoveToOuterDisposeScope(), counts.detach().view(batch.Rows, 2).MoveToOuterDisposeScope());

        Tensor Zeros() => zeros([batch.Rows * 2], ScalarType.Float32, hidden.device);
    }

    /// <summary>Of a batch, without gradients and auxiliary losses; the model is in evaluation mode.</summary>
    public static AnswerScores Of(LanguageModel model, Batch batch, Device device)
    {
        using IDisposable unrecorded = no_grad();
        using DisposeScope scope = NewDisposeScope();
        (ModelInput input, Tensor targets) = batch.ToTensors(device);
        Tensor hidden = model.Hidden(input).reshape(-1, model.Options.Dim); // (R·T, C)
        AnswerScores scores = Of(model, batch, hidden, targets.reshape(-1), prefixLength: 1);
        return new(scores.LogProbability.MoveToOuterDisposeScope(), scores.Tokens.MoveToOuterDisposeScope());
    }
}
