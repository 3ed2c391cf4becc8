using Trainer.Torch.Interop;
using static Trainer.Torch.Interop.NativeMethods;

namespace TorchSharp;

public static partial class torch
{
    public partial class Tensor
    {
        /// <summary>Adds in place.</summary>
        public Tensor add_(Tensor target)
        {
            Native.Check(tn_add_(handle, target.handle, 1));
            return this;
        }

        /// <summary>Adds alpha times the operand in place.</summary>
        public Tensor add_(Tensor target, Scalar alpha)
        {
            Native.Check(tn_add_(handle, target.handle, alpha));
            return this;
        }

        /// <summary>Adds in place.</summary>
        public Tensor add_(Scalar scalar)
        {
            Native.Check(tn_add__scalar(handle, scalar));
            return this;
        }

        /// <summary>Subtracts in place.</summary>
        public Tensor sub_(Tensor target)
        {
            Native.Check(tn_sub_(handle, target.handle, 1));
            return this;
        }

        /// <summary>Subtracts alpha times the operand in place.</summary>
        public Tensor sub_(Tensor target, Scalar alpha)
        {
            Native.Check(tn_sub_(handle, target.handle, alpha));
            return this;
        }

        /// <summary>Subtracts in place.</summary>
        public Tensor sub_(Scalar scalar)
        {
            Native.Check(tn_sub__scalar(handle, scalar));
            return this;
        }

        /// <summary>Multiplies in place.</summary>
        public Tensor mul_(Tensor target)
        {
            Native.Check(tn_mul_(handle, target.handle));
            return this;
        }

        /// <summary>Multiplies in place.</summary>
        public Tensor mul_(Scalar scalar)
        {
            Native.Check(tn_mul__scalar(handle, scalar));
            return this;
        }

        /// <summary>Divides in place.</summary>
        public Tensor div_(Tensor target)
        {
            Native.Check(tn_div_(handle, target.handle));
            return this;
        }

        /// <summary>Divides in place.</summary>
        public Tensor div_(Scalar scalar)
        {
            Native.Check(tn_div__scalar(handle, scalar));
            return this;
        }

        /// <summary>Sets every element to zero.</summary>
        public Tensor zero_()
        {
            Native.Check(tn_zero_(handle));
            return this;
        }

        /// <summary>Sets every element.</summary>
        public Tensor fill_(Scalar value)
        {
            Native.Check(tn_fill_(handle, value));
            return this;
        }

        /// <summary>Copies values in, broadcast and converted.</summary>
        public Tensor copy_(Tensor source, bool non_blocking = false)
        {
            Native.Check(tn_copy_(handle, source.handle, non_blocking ? 1 : 0));
            return this;
        }

        /// <summary>Sets the elements where the mask is true.</summary>
        public Tensor masked_fill_(Tensor mask, Scalar value)
        {
            Native.Check(tn_masked_fill_(handle, mask.handle, value));
            return this;
        }

        /// <summary>Copies slices of the source to the given positions along a dimension.</summary>
        public Tensor index_copy_(long dim, Tensor index, Tensor source)
        {
            Native.Check(tn_index_copy_(handle, dim, index.handle, source.handle));
            return this;
        }

        /// <summary>Fills with a normal distribution.</summary>
        public Tensor normal_(double mean = 0.0, double stddev = 1.0, Generator? generator = null)
        {
            Native.Check(tn_normal_(handle, mean, stddev, Generator.HandleOf(generator)));
            return this;
        }

        /// <summary>Fills with a uniform distribution over [from, to).</summary>
        public Tensor uniform_(double from, double to, Generator? generator = null)
        {
            Native.Check(tn_uniform_(handle, from, to, Generator.HandleOf(generator)));
            return this;
        }

        /// <summary>Fills with ones at the given probability, else zeros.</summary>
        public Tensor bernoulli_(double p = 0.5, Generator? generator = null)
        {
            Native.Check(tn_bernoulli_(handle, p, Generator.HandleOf(generator)));
            return this;
        }
    }
}
