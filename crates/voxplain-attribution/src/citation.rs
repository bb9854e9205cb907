//! The works that methods come from: each is named by its method ([`crate::Method::CITATION`]).

#![expect(missing_docs, reason = "each is named by its first author and year")]

use voxplain_core::{Citation, arxiv};

#[rustfmt::skip]
pub const SIMONYAN_2014: Citation = arxiv!("simonyan2014", "Simonyan, Karen and Vedaldi, Andrea and Zisserman, Andrew", "Deep Inside Convolutional Networks: Visualising Image Classification Models and Saliency Maps", "2014", "1312.6034");

#[rustfmt::skip]
pub const SPRINGENBERG_2015: Citation = arxiv!("springenberg2015", "Springenberg, Jost Tobias and Dosovitskiy, Alexey and Brox, Thomas and Riedmiller, Martin", "Striving for Simplicity: The All Convolutional Net", "2015", "1412.6806");

#[rustfmt::skip]
pub const ZEILER_2014: Citation = arxiv!("zeiler2014", "Zeiler, Matthew D. and Fergus, Rob", "Visualizing and Understanding Convolutional Networks", "2014", "1311.2901");

#[rustfmt::skip]
pub const SELVARAJU_2017: Citation = arxiv!("selvaraju2017", "Selvaraju, Ramprasaath R. and Cogswell, Michael and Das, Abhishek and Vedantam, Ramakrishna and Parikh, Devi and Batra, Dhruv", "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization", "2017", "1610.02391");

#[rustfmt::skip]
pub const CHATTOPADHAY_2018: Citation = arxiv!("chattopadhay2018", "Chattopadhay, Aditya and Sarkar, Anirban and Howlader, Prantik and Balasubramanian, Vineeth N.", "Grad-CAM++: Improved Visual Explanations for Deep Convolutional Networks", "2018", "1710.11063");

#[rustfmt::skip]
pub const DRAELOS_2020: Citation = arxiv!("draelos2020", "Draelos, Rachel Lea and Carin, Lawrence", "Use HiResCAM instead of Grad-CAM for faithful explanations of convolutional neural networks", "2020", "2011.08891");

#[rustfmt::skip]
pub const WANG_2020: Citation = arxiv!("wang2020", "Wang, Haofan and Wang, Zifan and Du, Mengnan and Yang, Fan and Zhang, Zijian and Ding, Sirui and Mardziel, Piotr and Hu, Xia", "Score-CAM: Score-Weighted Visual Explanations for Convolutional Neural Networks", "2020", "1910.01279");

#[rustfmt::skip]
pub const JIANG_2021: Citation = Citation { key: "jiang2021", bibtex: "@article{jiang2021,\n  author = {Jiang, Peng-Tao and Zhang, Chang-Bin and Hou, Qibin and Cheng, Ming-Ming and Wei, Yunchao},\n  title = {{LayerCAM: Exploring Hierarchical Class Activation Maps for Localization}},\n  journal = {IEEE Transactions on Image Processing},\n  volume = {30},\n  pages = {5875--5888},\n  year = {2021}\n}" };

#[rustfmt::skip]
pub const FONG_2017: Citation = arxiv!("fong2017", "Fong, Ruth C. and Vedaldi, Andrea", "Interpretable Explanations of Black Boxes by Meaningful Perturbation", "2017", "1704.03296");

#[rustfmt::skip]
pub const FONG_2019: Citation = arxiv!("fong2019", "Fong, Ruth and Patrick, Mandela and Vedaldi, Andrea", "Understanding Deep Networks via Extremal Perturbations and Smooth Masks", "2019", "1910.08485");

#[rustfmt::skip]
pub const PETSIUK_2018: Citation = arxiv!("petsiuk2018", "Petsiuk, Vitali and Das, Abir and Saenko, Kate", "RISE: Randomized Input Sampling for Explanation of Black-box Models", "2018", "1806.07421");

#[rustfmt::skip]
pub const SUNDARARAJAN_2017: Citation = arxiv!("sundararajan2017", "Sundararajan, Mukund and Taly, Ankur and Yan, Qiqi", "Axiomatic Attribution for Deep Networks", "2017", "1703.01365");

#[rustfmt::skip]
pub const SMILKOV_2017: Citation = arxiv!("smilkov2017", "Smilkov, Daniel and Thorat, Nikhil and Kim, Been and Vi{\\'e}gas, Fernanda and Wattenberg, Martin", "SmoothGrad: removing noise by adding noise", "2017", "1706.03825");

#[rustfmt::skip]
pub const SHRIKUMAR_2017: Citation = arxiv!("shrikumar2017", "Shrikumar, Avanti and Greenside, Peyton and Kundaje, Anshul", "Learning Important Features Through Propagating Activation Differences", "2017", "1704.02685");

#[rustfmt::skip]
pub const LUNDBERG_2017: Citation = arxiv!("lundberg2017", "Lundberg, Scott M. and Lee, Su-In", "A Unified Approach to Interpreting Model Predictions", "2017", "1705.07874");

#[rustfmt::skip]
pub const BACH_2015: Citation = Citation { key: "bach2015", bibtex: "@article{bach2015,\n  author = {Bach, Sebastian and Binder, Alexander and Montavon, Gr{\\'e}goire and Klauschen, Frederick and M{\\\"u}ller, Klaus-Robert and Samek, Wojciech},\n  title = {{On Pixel-Wise Explanations for Non-Linear Classifier Decisions by Layer-Wise Relevance Propagation}},\n  journal = {PLoS ONE},\n  volume = {10},\n  number = {7},\n  pages = {e0130140},\n  year = {2015}\n}" };

#[rustfmt::skip]
pub const FU_2020: Citation = arxiv!("fu2020", "Fu, Ruigang and Hu, Qingyong and Dong, Xiaohu and Guo, Yulan and Gao, Yinghui and Li, Biao", "Axiom-based Grad-CAM: Towards Accurate Visualization and Explanation of CNNs", "2020", "2008.02312");

#[rustfmt::skip]
pub const DESAI_2020: Citation = Citation { key: "desai2020", bibtex: "@inproceedings{desai2020,\n  author = {Desai, Saurabh and Ramaswamy, Harish G.},\n  title = {{Ablation-CAM: Visual Explanations for Deep Convolutional Network via Gradient-free Localization}},\n  booktitle = {IEEE Winter Conference on Applications of Computer Vision},\n  year = {2020}\n}" };

#[rustfmt::skip]
pub const ZHOU_2016: Citation = arxiv!("zhou2016", "Zhou, Bolei and Khosla, Aditya and Lapedriza, Agata and Oliva, Aude and Torralba, Antonio", "Learning Deep Features for Discriminative Localization", "2016", "1512.04150");

#[rustfmt::skip]
pub const RIEKE_2018: Citation = arxiv!("rieke2018", "Rieke, Johannes and Eitel, Fabian and Weygandt, Martin and Haynes, John-Dylan and Ritter, Kerstin", "Visualizing Convolutional Networks for MRI-based Diagnosis of Alzheimer's Disease", "2018", "1808.02874");

#[rustfmt::skip]
pub const CASTRO_2009: Citation = Citation { key: "castro2009", bibtex: "@article{castro2009,\n  author = {Castro, Javier and G{\\'o}mez, Daniel and Tejada, Juan},\n  title = {{Polynomial calculation of the Shapley value based on sampling}},\n  journal = {Computers \\& Operations Research},\n  volume = {36},\n  number = {5},\n  pages = {1726--1730},\n  year = {2009}\n}" };

#[rustfmt::skip]
pub const ADEBAYO_2018: Citation = arxiv!("adebayo2018", "Adebayo, Julius and Gilmer, Justin and Muelly, Michael and Goodfellow, Ian and Hardt, Moritz and Kim, Been", "Sanity Checks for Saliency Maps", "2018", "1810.03292");
