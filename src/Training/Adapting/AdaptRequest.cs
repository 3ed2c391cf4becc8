namespace Trainer.Training.Adapting;

/// <summary>A trained run, and the budget that its model is to fit.</summary>
/// <param name="Run">The run's directory.</param>
/// <param name="CacheBytesPerToken">The most bytes of cache for each token of the context, on average.</param>
public sealed record AdaptRequest(string Run, double CacheBytesPerToken)
{
    /// <summary>Tokens of the context; null for that of the model.</summary>
    public int? Context { get; init; }

    /// <summary>The greatest share that the validation loss may grow by: 0.01 is one in a hundred.</summary>
    public double MaxLoss { get; init; } = 0.01;

    /// <summary>Steps that each variant is trained for; null for a twentieth of the run's (Ainslie et al. 2023).</summary>
    public long? Steps { get; init; }

    /// <summary>Settings of the run's recipe that differ while variants are trained, such as <c>optimizer.learningRate=3e-4</c>.</summary>
    public IReadOnlyList<string> Settings { get; init; } = [];

    /// <summary>How rotary positions are stretched to a longer context: types of <c>model.position.scaling</c>.</summary>
    public IReadOnlyList<string> Scaling { get; init; } = ["yarn"];

    /// <summary>Where the runs go; null for the run's directory with <c>-adapt</c> behind it.</summary>
    public string? Directory { get; init; }

    /// <summary>Where prepared data is.</summary>
    public string DatasetsDirectory { get; init; } = TrainingRequest.DefaultDatasetsDirectory;
}
