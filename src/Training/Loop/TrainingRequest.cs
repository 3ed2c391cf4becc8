namespace Trainer.Training;

/// <summary>What to train, and where its files go.</summary>
/// <param name="Recipe">The resolved configuration.</param>
/// <param name="RunDirectory">The run's directory, such as <c>runs/&lt;name&gt;</c>.</param>
/// <param name="Resume">Whether to go on from the newest whole checkpoint in it; where there is none, the run begins.</param>
/// <param name="DatasetsDirectory">Where prepared data is kept.</param>
public sealed record TrainingRequest(Recipe Recipe, string RunDirectory, bool Resume = false, string DatasetsDirectory = TrainingRequest.DefaultDatasetsDirectory)
{
    /// <summary>Where prepared data is kept when nothing else is said, relative to the working directory.</summary>
    public const string DefaultDatasetsDirectory = "datasets";
}
