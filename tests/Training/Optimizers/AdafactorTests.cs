using TorchSharp;
using TorchSharp.Modules;
using Trainer.Tests;
using Trainer.Training.Optimizers;
using static TorchSharp.torch;

namespace Trainer.Training.Tests.Optimizers;

public sealed class AdafactorTests
{
    // Shazeer and Stern 2018, algorithm 4, in doubles.
    [Fact]
    public void Follows_the_formula_of_a_matrix()
    {
        using DisposeScope scope = NewDisposeScope();
        double[,] weight = { { 0.5, -0.4, 0.3 }, { 0.1, 0.7, -0.6 } };
        double[] rows = new double[2], columns = new double[3];
        Parameter parameter = new(tensor(weight).to(ScalarType.Float32));
        using Adafactor optimizer = new(new AdafactorOptions { WeightDecay = 0.2 }, [("w", parameter)]);

        for (int step = 1; step <= 4; step++)
        {
            double[,] gradient = new double[2, 3];
            for (int i = 0; i < 2; i++)
                for (int j = 0; j < 3; j++) gradient[i, j] = Math.Sin(step + 2 * i + 5 * j);
            parameter.grad = tensor(gradient).to(ScalarType.Float32);
            optimizer.Step(0.05, tensor(0f));
            Reference(weight, gradient, rows, columns, step);
            TensorAssert.Close(tensor(weight), parameter.detach().to(ScalarType.Float64), 1e-6);
        }
        Assert.Equal(["w.row_var", "w.col_var", "w.step"], optimizer.State.Select(state => state.Name));
        Assert.Equal([[2, 1], [1, 3], []], optimizer.State.Select(state => state.Value.shape));
    }

    [Fact]
    public void An_expert_bank_keeps_rows_and_columns_of_every_expert()
    {
        using DisposeScope scope = NewDisposeScope();
        using Adafactor optimizer = new(new AdafactorOptions(), [("bank", new Parameter(ones(4, 3, 2))), ("norm", new Parameter(ones(5)))]);

        Assert.Equal(
            [("bank.row_var", "4 3 1"), ("bank.col_var", "4 1 2"), ("bank.step", ""), ("norm.variance", "5"), ("norm.step", "")],
            optimizer.State.Select(state => (state.Name, string.Join(" ", state.Value.shape))));
    }

    private static void Reference(double[,] weight, double[,] gradient, double[] rows, double[] columns, int step)
    {
        double fresh = Math.Pow(step, -0.8), rate = Math.Min(0.05, 1 / Math.Sqrt(step)) * Math.Max(1e-3, Size(weight));
        for (int i = 0; i < 2; i++)
            rows[i] += fresh * (Enumerable.Range(0, 3).Average(j => gradient[i, j] * gradient[i, j]) - rows[i]);
        for (int j = 0; j < 3; j++)
            columns[j] += fresh * (Enumerable.Range(0, 2).Average(i => gradient[i, j] * gradient[i, j]) - columns[j]);
        double[,] update = new double[2, 3];
        for (int i = 0; i < 2; i++)
            for (int j = 0; j < 3; j++) update[i, j] = gradient[i, j] / Math.Sqrt(rows[i] * columns[j] / rows.Average());
        double clip = Math.Max(1, Size(update));
        for (int i = 0; i < 2; i++)
            for (int j = 0; j < 3; j++) weight[i, j] = weight[i, j] * (1 - 0.05 * 0.2) - rate / clip * update[i, j];
    }

    private static double Size(double[,] values) => Math.Sqrt(values.Cast<double>().Average(value => value * value));
}
