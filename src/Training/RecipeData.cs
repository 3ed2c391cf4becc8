using Trainer.Checkpoints;
using Trainer.Data.Numbers;
using Trainer.Data.Preparation;

namespace Trainer.Training;

/// <summary>Prepares what a recipe trains on: texts for a model of tokens, pictures or time series for one of patches.</summary>
public static class RecipeData
{
    /// <summary>Prepares the data in a subfolder of <paramref name="directory"/>, or opens it where nothing changed.</summary>
    /// <exception cref="Configuration.UserException">A file is missing, damaged, or cannot be read as the recipe says.</exception>
    public static TrainingData Prepare(Recipe recipe, string directory, IProgress<string>? progress = null) =>
        recipe.Model.PatchInput() is { } patches
            ? NumberPreparation.Prepare(recipe.Data, patches.ToShape(), directory, progress)
            : DataPreparation.Prepare(recipe.Data, recipe.Tokenizer, directory, progress);
}
