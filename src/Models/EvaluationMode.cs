using static TorchSharp.torch;

namespace Trainer.Models;

/// <summary>A model without dropout, until this is disposed: then it is in the mode it was in.</summary>
public readonly struct EvaluationMode : IDisposable
{
    private readonly nn.Module model;
    private readonly bool training;

    private EvaluationMode(nn.Module model) => (this.model, training) = (model, model.training);

    /// <summary>Sets the model's mode.</summary>
    public static EvaluationMode Of(nn.Module model)
    {
        EvaluationMode mode = new(model);
        model.eval();
        return mode;
    }

    /// <summary>Gives the model back its mode.</summary>
    public void Dispose() => model.train(training);
}
