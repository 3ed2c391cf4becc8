// Shapes: R rows, T positions, C model dimension, N learned tokens.
using TorchSharp;
using Trainer.Data.Batches;
using Trainer.Inference;
using Trainer.Models;
using static TorchSharp.torch;

namespace Trainer.Evaluation.Preferences;

/// <summary>What a model finds of the answers of some rows: the summed logarithm of each one's probability, and how many tokens it has, both
/// (R, 2), float32, the chosen one first; 0 for an answer that is not there.</summary>
public readonly record struct AnswerScores(Tensor LogProbability, Tensor Tokens)
{
    /// <summary>Per token; 0 for an answer that is not there.</summary>
    public Tensor Mean => LogProbability.div(Tokens.clamp_min(1));

    /// <summary>Of hidden states (R·T, C) and targets (R·T), of rows with documents 0 and 1, (R, T).</summary>
    public static AnswerScores Of(LanguageModel model, Tensor hidden, Tensor targets, Tensor documents)
    {
        using DisposeScope scope = NewDisposeScope();
        long rows = documents.size(0);
        Tensor places = targets.ne(Batch.Ignored).nonzero().reshape(-1); // (N)
        Tensor row = arange(rows, ScalarType.Int64, documents.device).unsqueeze(1); // (R, 1)
        Tensor answer = row.mul(2).add(documents).reshape(-1).index_select(0, places); // (N), of R·2
        Tensor found = TokenLogProbabilities.Of(model, hidden.index_select(0, places), targets.index_select(0, places)); // (N)
        Tensor sums = zeros([rows * 2], ScalarType.Float32, hidden.device).index_add(0, answer, found, 1);
        Tensor counts = zeros([rows * 2], ScalarType.Float32, hidden.device).index_add(0, answer, ones_like(found), 1);
        return new(sums.view(rows, 2).MoveToOuterDisposeScope(), counts.detach().view(rows, 2).MoveToOuterDisposeScope());
    }

    /// <summary>Of a batch, without gradients and auxiliary losses; the model is in evaluation mode.</summary>
    public static AnswerScores Of(LanguageModel model, Batch batch, Device device)
    {
        using IDisposable unrecorded = no_grad();
        using DisposeScope scope = NewDisposeScope();
        (ModelInput input, Tensor targets) = batch.ToTensors(device);
        Tensor hidden = model.Hidden(input).reshape(-1, model.Options.Dim); // (R·T, C)
        AnswerScores scores = Of(model, hidden, targets.reshape(-1), input.Documents!);
        return new(scores.LogProbability.MoveToOuterDisposeScope(), scores.Tokens.MoveToOuterDisposeScope());
    }
}
