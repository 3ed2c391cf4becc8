using Trainer.Checkpoints;
using Trainer.Configuration;
using Trainer.Data.Numbers;
using Trainer.Data.Preparation;
using Trainer.Models.Patches;

namespace Trainer.Training;

/// <summary>Prepares what a recipe trains on: texts for a model of tokens, pictures or time series for one of patches.</summary>
public static class RecipeData
{
    /// <summary>Prepares the data in a subfolder of <paramref name="directory"/>, or opens it where nothing changed.</summary>
    /// <exception cref="UserException">A file is missing, damaged, or cannot be read as the recipe says.</exception>
    public static TrainingData Prepare(Recipe recipe, string directory, IProgress<string>? progress = null) =>
        recipe.Model.PatchInput() is { } patches
            ? Numbers(recipe, patches, directory, progress)
            : DataPreparation.Prepare(recipe.Data, recipe.Tokenizer, directory, progress);

    internal static NumberData Numbers(Recipe recipe, PatchOptions patches, string directory, IProgress<string>? progress)
    {
        NumberData data = NumberPreparation.Prepare(recipe.Data, patches.ToShape(), directory, progress);
        if (patches is not SeriesPatchOptions { AffineVariables: { } expected }
            || data.Preprocessor is not SeriesPreprocessor { Variables: { } found } || found.Count == expected)
            return data;
        data.Dispose();
        throw new ConfigurationException([new("model.input.affineVariables", $"affineVariables ({expected}) must be the number of " +
            $"variables of the data, {found.Count} ({string.Join(", ", found)}); set it to {found.Count}")]);
    }
}
